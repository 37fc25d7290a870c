"""The measured values of models, and the numbers with intervals made from them."""
