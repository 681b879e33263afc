"""Whether a check has a proof beside its passes, and why not."""

from zoo.samples import HOME

from kmr_cli.formats.interface import OpenOptions
from kmr_cli.process.prove import proof_beside_passes
from kmr_cli.process.sessions import Sessions


def beside(name, options=None):
    return proof_beside_passes(
        str(HOME / name), options or OpenOptions(), Sessions(reopens=True), lambda *_: None, traces=False
    )


def test_graph_of_the_file_is_proven():
    for name in ("digits.onnx", "digits.pt2", "digits_savedmodel"):
        proof, why = beside(name)
        assert proof.record.separate
        assert why == ""


def test_the_graph_of_a_file_is_read_once():
    """A notebook that looks at one layer after the other does not read it anew each time."""
    sessions, reads = Sessions(reopens=True), []

    def read(path, options):
        reads.append((path.name, options.constants))
        return object()

    first = sessions.graph("a/m.onnx", OpenOptions(), read)
    assert sessions.graph("a/m.onnx", OpenOptions(), read) is first
    assert sessions.graph("a/n.onnx", OpenOptions(), read) is not first
    sessions.graph("a/m.onnx", OpenOptions(constants=(("k", 1),)), read)
    assert reads == [("m.onnx", None), ("n.onnx", None), ("m.onnx", (("k", 1),))]
    sessions.close()
    assert sessions.graph("a/m.onnx", OpenOptions(), read) is not first


def test_what_holds_no_graph_and_training_are_said():
    proof, why = beside("digits.keras")
    assert proof is None
    assert "tracing" in why
    proof, why = beside("digits_traced.pt")
    assert proof is None
    assert "holds no graph" in why
    proof, why = beside("digits.onnx", OpenOptions(training=True))
    assert proof is None
    assert "training" in why
