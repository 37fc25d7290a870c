// torch 2.14 removed four functions that the generated code of torch-sys 0.26 still calls.
// This header defines them with their successors, so that the code compiles. neurofreq calls
// none of them. The compiler includes this header first (see torches.py).
#pragma once
#ifdef __cplusplus
#include <torch/torch.h>

namespace torch {
inline Tensor cholesky(const Tensor& self, bool upper) {
  return at::linalg_cholesky(self, upper);
}
inline Tensor& cholesky_out(Tensor& out, const Tensor& self, bool upper) {
  return at::linalg_cholesky_out(out, self, upper);
}
inline std::tuple<Tensor, Tensor> qr(const Tensor& self, bool some) {
  return at::linalg_qr(self, some ? "reduced" : "complete");
}
inline std::tuple<Tensor&, Tensor&> qr_out(Tensor& q, Tensor& r, const Tensor& self, bool some) {
  return at::linalg_qr_out(q, r, self, some ? "reduced" : "complete");
}
}  // namespace torch
#endif
