"""Small tensors reach a device in one copy."""

import torch

from neurofreq._shared.transfer import Packet, beside, send


def tensors():
    return [
        torch.arange(5),
        torch.rand(3, 2),
        torch.tensor(7.0, dtype=torch.float64),
        torch.tensor([True, False, True]),
        torch.zeros(0, dtype=torch.int64),
    ]


def test_a_packet_holds_every_tensor_and_keeps_its_memory():
    packet = Packet(tensors(), torch.device("cpu"))
    places = [one.data_ptr() for one in packet.tensors]
    for _ in range(2):
        given = tensors()
        packet.fill(given)
        for ours, theirs in zip(packet.tensors, given, strict=True):
            assert ours.dtype == theirs.dtype
            assert torch.equal(ours, theirs)
    assert [one.data_ptr() for one in packet.tensors] == places
    assert len({one.untyped_storage().data_ptr() for one in packet.tensors}) == 1


def test_on_the_host_tensors_are_not_copied():
    given = tensors()
    sent = send(given, torch.device("cpu"))
    assert all(a is b for a, b in zip(given, sent, strict=True))
    assert beside(given[1], torch.zeros(1, dtype=torch.float64)).dtype == torch.float64
