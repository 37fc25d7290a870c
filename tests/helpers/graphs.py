"""CUDA graphs in pretense: a replay runs the recorded function again on the CPU."""

import torch


class FakeGraphs:
    """Like `CudaGraphs`; `log` has the order of calls.

    A graph records operators without running them. Here the function runs when it is
    recorded, and everything that it changed is put back.
    """

    def __init__(self, *owners):
        self.log = []
        self.owners = owners
        self.fails = None

    def warm(self, work):
        self.log.append("warm")
        return work()

    def capture(self, work):
        self.log.append("capture")
        if self.fails is not None:
            raise self.fails
        tensors = [t for one in self.owners for t in one()]
        before, state = [t.clone() for t in tensors], torch.get_rng_state()
        report = work()
        with torch.no_grad():
            for tensor, value in zip(tensors, before, strict=True):
                tensor.copy_(value)
        torch.set_rng_state(state)

        def replay():
            self.log.append("replay")
            report.copy_(work())
            return report

        return replay

    def read(self, report):
        number = self.log.count("replay")
        host = report.clone()

        def values():
            self.log.append(f"read {number}")
            return host

        return values
