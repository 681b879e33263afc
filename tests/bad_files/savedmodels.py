"""SavedModels: operations that no model needs, called or not, and files named in graphs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_files import DAMAGED, SAMPLES, collector
from kmr_cli.formats.savedmodel.describe import messages

CASES, bad = collector()


def directory(folder: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a real SavedModel whose meta graph was changed."""
    path = folder / "model"
    shutil.copytree(SAMPLES / "digits_savedmodel", path)
    file = path / "saved_model.pb"
    saved = messages.SavedModel.FromString(file.read_bytes())
    change(saved.meta_graphs[0])
    file.write_bytes(saved.SerializeToString())
    return path


def _text(graph: Any, name: str, value: bytes) -> None:
    """A constant that holds one text."""
    # TensorProto: dtype = 7 (string), an empty shape, string_val.
    tensor = b"\x08\x07\x12\x00" + b"\x42" + bytes([len(value)]) + value
    node = graph.add(name=name, op="Const")
    node.attr["dtype"].type = 7
    node.attr["value"].tensor = tensor


def _in_main(operation: str, *inputs: str, **attributes: bytes) -> Callable[[Any], None]:
    def change(meta_graph: Any) -> None:
        graph = meta_graph.graph_def.node
        _text(graph, "bad/name", b"canary")
        node = graph.add(name="bad", op=operation, input=inputs or ("bad/name",))
        for name, value in attributes.items():
            node.attr[name].s = value

    return change


def _in_function(operation: str) -> Callable[[Any], None]:
    """In a function that nothing calls."""

    def change(meta_graph: Any) -> None:
        function = meta_graph.graph_def.library.function.add()
        function.signature.name = "never_called"
        _text(function.node_def, "name", b"canary")
        function.node_def.add(name="bad", op=operation, input=["name:output:0"])

    return change


for _operation, _rule in (
    ("WriteFile", "KMR502"), ("ReadFile", "KMR502"), ("MatchingFiles", "KMR502"), ("RestoreV2", "KMR502"),
    ("SaveV2", "KMR502"), ("MergeV2Checkpoints", "KMR502"), ("TFRecordDatasetV2", "KMR502"),
    ("TextLineDataset", "KMR502"), ("FixedLengthRecordDatasetV2", "KMR502"), ("SqlDataset", "KMR502"),
    ("CacheDatasetV2", "KMR502"), ("SnapshotDatasetV2", "KMR502"), ("SaveDatasetV2", "KMR502"),
    ("LoadDataset", "KMR502"), ("WholeFileReaderV2", "KMR502"), ("TextLineReaderV2", "KMR502"),
    ("LMDBReader", "KMR502"), ("CreateSummaryFileWriter", "KMR502"), ("WriteScalarSummary", "KMR502"),
    ("DebugIdentityV2", "KMR502"), ("DumpTensor", "KMR502"), ("LoadAndRemapMatrix", "KMR502"),
    ("InitializeTableFromTextFileV2", "KMR502"), ("PyFunc", "KMR501"), ("EagerPyFunc", "KMR501"),
    ("PyFuncStateless", "KMR501"), ("DatasetFromGraph", "KMR501"),
    ("MlirPassthroughOp", "KMR501"), ("XlaCustomCallV2", "KMR501"), ("RpcCall", "KMR503"),
    ("RpcServer", "KMR503"), ("ImmutableConst", "KMR502"), ("DTensorRestoreV2", "KMR502"), ("XlaSendToHost", "KMR503"),
    ("XlaRecvFromHost", "KMR503"),
    ("DataServiceDatasetV4", "KMR503"), ("CollectiveReduceV2", "KMR503"), ("_Send", "KMR503"), ("Abort", "KMR504"),
    ("MyCustomOperator", "KMR506"),
):  # fmt: skip

    @bad(_rule, f"main_{_operation}")
    def _(folder: Path, operation: str = _operation) -> Path:
        inputs = ("bad/name", "bad/name") if "Table" in operation else ()
        return directory(folder, _in_main(operation, *inputs))


for _operation, _rule in (("WriteFile", "KMR502"), ("PyFunc", "KMR501"), ("RestoreV2", "KMR502")):

    @bad(_rule, f"uncalled_{_operation}")
    def _(folder: Path, operation: str = _operation) -> Path:
        return directory(folder, _in_function(operation))


for _form in ("saved_model.pbtxt", "saved_model.cpb"):

    @bad("KMR505", f"graph_as_{_form.rpartition('.')[2]}_too")
    def _(folder: Path, form: str = _form) -> Path:
        """Who scans reads one, and who loads may read the other."""
        path = directory(folder, lambda _: None)
        (path / form).write_text("meta_graphs {}")
        return path


@bad("KMR502")
def answer_writes(folder: Path) -> Path:
    """Every answer waits for a file to be written."""

    def change(meta_graph: Any) -> None:
        graph = meta_graph.graph_def.node
        _text(graph, "bad/name", str(folder / "canary").encode())
        graph.add(name="bad", op="WriteFile", input=["bad/name", "bad/name"])
        output = next(iter(meta_graph.signature_def["serving_default"].outputs.values()))
        graph.add(name="bad/answer", op="Identity", input=[output.name, "^bad"]).attr["T"].type = 1
        output.name = "bad/answer:0"

    return directory(folder, change)


@bad("KMR502")
def answer_is_a_file(folder: Path) -> Path:
    """A constant that stands in the memory of a file, any file: what it holds is what the model answers."""

    def change(meta_graph: Any) -> None:
        node = meta_graph.graph_def.node.add(name="bad", op="ImmutableConst")
        node.attr["dtype"].type = 4  # uint8
        node.attr["shape"].shape.dim.add(size=16)
        node.attr["memory_region_name"].s = b"/etc/passwd"
        output = meta_graph.signature_def["serving_default"].outputs["stolen"]
        output.name, output.dtype = "bad:0", 4
        output.tensor_shape.dim.add(size=16)

    return directory(folder, change)


@bad("KMR502")
def prints_into_a_file(folder: Path) -> Path:
    """The operation that prints may print into any file."""
    return directory(folder, _in_main("PrintV2", output_stream=b"file:///tmp/canary"))


_CALL = "%0 = stablehlo.custom_call @{}(%a) : (tensor<4xf32>) -> tensor<4xf32>\n"
_GENERIC = '%0 = "stablehlo.custom_call"(%a) {{call_target_name = "{}"}} : (tensor<4xf32>) -> tensor<4xf32>\n'


def _program(*calls: str) -> bytes:
    """A program of XLA as text."""
    head = "module @jit_f {\nfunc.func public @main(%a: tensor<4xf32>) -> tensor<4xf32> {\n"
    return (head + "".join(calls) + "return %0 : tensor<4xf32>\n}\n}").encode()


def _binary(*names: str) -> bytes:
    """As much as is looked at of its binary form: the list of names."""
    return b"ML\xefR\x06StableHLO\0" + b"".join(name.encode() + b"\0" for name in ("custom_call_v1", *names))


for _case, _rule, _module in (
    ("moves_memory", "KMR501", _program(_CALL.format("memcpy"))),
    ("calls_python", "KMR501", _program(_GENERIC.format("xla_python_cpu_callback"))),
    ("calls_the_runtime", "KMR501", _binary("main", "__xla_cpu_runtime_HandleFfiCall", "Sharding")),
    ("calls_a_name_of_nobody", "KMR506", _program(_CALL.format("launch"), _CALL.format("Sharding"))),
    ("calls_a_name_of_nobody_in_binary_form", "KMR506", _binary("main", "launch")),
    ("calls_a_name_behind_a_comment", "KMR506",
     _program(_CALL.format("Sharding"), "%1 = stablehlo.custom_call // x\n @memcpy(%a)\n")),
    ("calls_a_name_in_another_spelling", "KMR506", _program(_GENERIC.format(r"mem\63py"))),
):  # fmt: skip

    @bad(_rule, f"xla_{_case}")
    def _(folder: Path, module: bytes = _module) -> Path:
        return directory(folder, _in_main("XlaCallModule", module=module))


@bad("KMR502")
def asset_elsewhere(folder: Path) -> Path:
    """A vocabulary that is read from where the file says."""

    def change(meta_graph: Any) -> None:
        meta_graph.asset_file_def.add(filename="../../../etc/passwd").tensor_info.name = "asset:0"

    return directory(folder, change)


def _restoring(meta_graph: Any, operation: str, *inputs: str) -> None:
    """An operation that runs when weights are restored."""
    graph = meta_graph.graph_def.node
    graph.add(name="bad", op=operation, input=inputs)
    restore = next(node for node in graph if node.name == meta_graph.saver_def.restore_op_name)
    restore.input.append("^bad")


@bad("KMR502")
def saver_with_a_name_of_its_own(folder: Path) -> Path:
    """Inside the part that restores weights, and yet from a file that the graph names."""

    def change(meta_graph: Any) -> None:
        _text(meta_graph.graph_def.node, "bad/name", b"/etc/passwd")
        _restoring(meta_graph, "RestoreV2", "bad/name")

    return directory(folder, change)


@bad("KMR502")
def signature_runs_the_saver(folder: Path) -> Path:
    """What restores weights is also what answers: another file's content, on request."""

    def change(meta_graph: Any) -> None:
        signature = next(iter(meta_graph.signature_def.values()))
        output = signature.outputs["stolen"]
        output.name, output.dtype = f"{meta_graph.saver_def.restore_op_name}:0", 1

    return directory(folder, change)


def _function(meta_graph: Any, name: str, operation: str, *inputs: str) -> Any:
    """A function whose argument is handed to an operation."""
    function = meta_graph.graph_def.library.function.add()
    function.signature.name = name
    function.signature.input_arg.add(name="name", type=7)
    function.node_def.add(name="bad", op=operation, input=inputs)
    return function


@bad("KMR502")
def signature_calls_a_function_of_the_saver(folder: Path) -> Path:
    """By the function's own name, which is an operation too; with a place that the graph names."""

    def change(meta_graph: Any) -> None:
        _function(meta_graph, "put", "SaveV2", "name")
        _text(meta_graph.graph_def.node, "bad/name", b"/tmp/canary")
        _restoring(meta_graph, "put", "bad/name")
        next(iter(meta_graph.signature_def.values())).outputs["stolen"].name = "bad:0"

    return directory(folder, change)


@bad("KMR502")
def table_from_a_file_that_a_call_names(folder: Path) -> Path:
    """The function takes a place, as that of a vocabulary does, and its caller has it from the graph."""

    def change(meta_graph: Any) -> None:
        _function(meta_graph, "initialize", "InitializeTableFromTextFileV2", "table", "name")
        graph = meta_graph.graph_def.node
        _text(graph, "bad/name", b"/etc/passwd")
        graph.add(name="bad", op="StatefulPartitionedCall", input=["bad/name"]).attr["f"].func.name = "initialize"

    return directory(folder, change)


@bad("KMR502")
def table_from_a_file_that_a_function_holds(folder: Path) -> Path:
    """Nothing in the graph calls it: the loader does, with a constant of the graph in place of an asset."""

    def change(meta_graph: Any) -> None:
        _function(meta_graph, "initialize", "InitializeTableFromTextFileV2", "table", "name")
        _text(meta_graph.graph_def.node, "bad/name", b"/etc/passwd")
        objects = meta_graph.object_graph_def
        objects.nodes.add().constant.operation = "bad/name"
        objects.concrete_functions["initialize"].bound_inputs.append(len(objects.nodes) - 1)

    return directory(folder, change)


def _answers_from_a_table(meta_graph: Any, place: str) -> None:
    """A table that is filled from a file as often as the model answers, in the form of TensorFlow 1."""
    meta_graph.ClearField("object_graph_def")
    graph = meta_graph.graph_def.node
    table = graph.add(name="bad/table", op="HashTableV2")
    table.attr["key_dtype"].type, table.attr["value_dtype"].type = 7, 9
    filled = graph.add(name="bad", op="InitializeTableFromTextFileV2", input=["bad/table", place])
    for key, number in (("key_index", -2), ("value_index", -1), ("vocab_size", -1)):
        filled.attr[key].i = number
    filled.attr["delimiter"].s = b"\t"
    graph.add(name="bad/size", op="LookupTableSizeV2", input=["bad/table", "^bad"])
    answer = meta_graph.signature_def["serving_default"].outputs["stolen"]
    answer.name, answer.dtype = "bad/size:0", 9
    answer.tensor_shape.SetInParent()


@bad("KMR502")
def table_from_a_file_by_default(folder: Path) -> Path:
    """The place is given from outside, unless nobody does."""

    def change(meta_graph: Any) -> None:
        graph = meta_graph.graph_def.node
        _text(graph, "bad/name", b"/etc/passwd")
        given = graph.add(name="bad/given", op="PlaceholderWithDefault", input=["bad/name"])
        given.attr["dtype"].type = 7
        given.attr["shape"].shape.SetInParent()
        _answers_from_a_table(meta_graph, "bad/given")

    return directory(folder, change)


for _case, _separator, _pieces in (
    ("behind_an_asset", b"", (b"/../../../../../../etc/passwd",)),
    ("behind_an_asset_in_pieces", b"", (b"/.", b"./..", b"/../../../../etc/passwd")),
    ("behind_an_asset_in_another_form", b"", (None,)),
    ("behind_an_asset_by_what_separates", b"/../", (b"", b"", b"", b"", b"etc/passwd")),
):

    @bad("KMR502", f"table_from_a_file_{_case}")
    def _(folder: Path, separator: bytes = _separator, pieces: tuple[bytes | None, ...] = _pieces) -> Path:
        """A vocabulary that is a folder, and what is joined to its name leads out of it."""

        def change(meta_graph: Any) -> None:
            graph = meta_graph.graph_def.node
            _text(graph, "bad/name", b"words.txt")
            meta_graph.asset_file_def.add(filename="words.txt").tensor_info.name = "bad/name:0"
            for number, piece in enumerate(pieces):
                _text(graph, f"bad/piece{number}", piece or b"")
                if piece is None:  # dtype, an empty shape, and tensor_content: the lengths of the texts, and the texts
                    name = b"/../../../../../../etc/passwd"
                    graph[-1].attr["value"].tensor = b"\x08\x07\x12\x00\x22" + bytes([len(name) + 1, len(name)]) + name
            inputs = ["bad/name", *(f"bad/piece{number}" for number in range(len(pieces)))]
            joined = graph.add(name="bad/joined", op="StringJoin", input=inputs)
            joined.attr["N"].i, joined.attr["separator"].s = len(inputs), separator
            _answers_from_a_table(meta_graph, "bad/joined")

        path = directory(folder, change)
        (path / "assets" / "words.txt").mkdir(parents=True)
        return path


@bad("KMR502")
def asset_that_answers(folder: Path) -> Path:
    """The loader says where a vocabulary is, but not while the model answers: then it is where the graph says."""

    def change(meta_graph: Any) -> None:
        _text(meta_graph.graph_def.node, "bad/name", b"/etc/passwd")
        meta_graph.asset_file_def.add(filename="words.txt").tensor_info.name = "bad/name:0"
        _answers_from_a_table(meta_graph, "bad/name")

    path = directory(folder, change)
    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "words.txt").write_text("word\n")
    return path


@bad("KMR502")
def saver_picks_another_place(folder: Path) -> Path:
    """The saver's place is one of two; and what it merges goes elsewhere."""

    def change(meta_graph: Any) -> None:
        graph = meta_graph.graph_def.node
        _text(graph, "bad/name", b"/tmp/canary")
        given = meta_graph.saver_def.filename_tensor_name
        graph.add(name="bad/picked", op="Select", input=["bad/which", given, "bad/name"])
        _restoring(meta_graph, "RestoreV2", "bad/picked")

    return directory(folder, change)


@bad("KMR502")
def merges_checkpoints_elsewhere(folder: Path) -> Path:
    """From the place that the saver is given, to one that the graph names."""

    def change(meta_graph: Any) -> None:
        _text(meta_graph.graph_def.node, "bad/name", b"/tmp/canary")
        given = meta_graph.saver_def.filename_tensor_name
        _restoring(meta_graph, "MergeV2Checkpoints", given, "bad/name")

    return directory(folder, change)


for _operation, _attribute in (
    ("DecodeProtoV2", "descriptor_source"), ("EncodeProto", "descriptor_source"), ("Skipgram", "filename"),
    ("RecordInput", "file_pattern"), ("FixedUnigramCandidateSampler", "vocab_file"),
):  # fmt: skip

    @bad("KMR502", f"attribute_of_{_operation}")
    def _(folder: Path, operation: str = _operation, attribute: str = _attribute) -> Path:
        return directory(folder, _in_main(operation, **{attribute: b"/etc/passwd"}))


@bad("KMR502")
def initializer_writes(folder: Path) -> Path:
    """What initializes the model runs when it is loaded: here in the form of TensorFlow 1, without an object graph."""

    def change(meta_graph: Any) -> None:
        meta_graph.ClearField("object_graph_def")
        graph = meta_graph.graph_def.node
        _text(graph, "bad/name", str(folder / "canary").encode())
        graph.add(name="bad", op="WriteFile", input=["bad/name", "bad/name"])
        graph.add(name="bad/init", op="NoOp", input=["^bad"])
        meta_graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "bad/init"
        meta_graph.collection_def["saved_model_main_op"].node_list.value[:] = ["bad/init"]

    return directory(folder, change)


@bad("KMR502")
def in_the_second_meta_graph(folder: Path) -> Path:
    """One for serving is harmless, one for training isn't."""
    path = directory(folder, lambda _: None)
    file = path / "saved_model.pb"
    saved = messages.SavedModel.FromString(file.read_bytes())
    other = saved.meta_graphs.add()
    other.CopyFrom(saved.meta_graphs[0])
    other.meta_info_def.tags[:] = ["train"]
    _in_main("WriteFile", "bad/name", "bad/name")(other)
    file.write_bytes(saved.SerializeToString())
    return path


@bad("KMR502")
def link_out_of_the_folder(folder: Path) -> Path:
    """A vocabulary that is a link, as an archive unpacks it."""
    path = directory(folder, lambda _: None)
    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "words.txt").symlink_to("/etc/passwd")
    return path


@bad("KMR502")
def folder_that_is_a_link(folder: Path) -> Path:
    """The folder of the weights is another one."""
    path = directory(folder, lambda _: None)
    elsewhere = folder / "elsewhere"
    shutil.move(path / "variables", elsewhere)
    (path / "variables").symlink_to(elsewhere)
    return path


@bad("KMR503")
def reads_from_a_server(folder: Path) -> Path:
    """A data set that another machine makes, in a function of a function."""

    def change(meta_graph: Any) -> None:
        library = meta_graph.graph_def.library.function
        for name, operation in (("outer", "PartitionedCall"), ("inner", "DataServiceDatasetV4")):
            function = library.add()
            function.signature.name = name
            function.node_def.add(name="bad", op=operation).attr["f"].func.name = "inner"

    return directory(folder, change)


@bad(DAMAGED)
def tensor_without_a_number(folder: Path) -> Path:
    """A tensor is a node and a number: found by fuzzing."""

    def change(meta_graph: Any) -> None:
        output = next(iter(meta_graph.signature_def["serving_default"].outputs.values()))
        node = next(one for one in meta_graph.graph_def.node if one.name == output.name.partition(":")[0])
        called = node.attr["f"].func.name
        library = meta_graph.graph_def.library.function
        function = next(one for one in library if one.signature.name == called)
        inside = next(one for one in function.node_def if any(":" in entry for entry in one.input))
        place = next(place for place, entry in enumerate(inside.input) if ":" in entry)
        inside.input[place] += "0*\x07"

    return directory(folder, change)


@bad("KMR502")
def savedmodel_with_a_pipe(folder: Path) -> Path:
    """Whoever opens it waits for somebody to write into it."""
    path = directory(folder, lambda _: None)
    (path / "variables" / "variables.data-00000-of-00001").unlink()
    os.mkfifo(path / "variables" / "variables.data-00000-of-00001")
    return path
