"""TorchScript and ``.pt2`` archives: code that touches files, pickles that call, sizes that are Python."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_files import SAMPLES, collector
from bad_files.pickles import calls

CASES, bad = collector()


def rewritten(source: Path, path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes]) -> Path:
    """A copy of an archive with changed members and others besides."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        root = old.namelist()[0].split("/", 1)[0]
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
        for name, data in more.items():
            new.writestr(f"{root}/{name}", data)
    return path


def _script(folder: Path, statement: str, method: str = "") -> Path:
    """A TorchScript file with one more statement at the beginning of ``forward``, or one more method."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith(".py") or b"def forward(" not in data:
            return data
        text = data.decode()
        at = text.index("def forward(")
        body = text.index(":\n", text.index(") ->", at)) + 2
        return (text[:body] + f"    {statement}\n" + text[body:] + method).encode()

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


for _case, _rule, _statement in (
    ("saves", "KMR502", 'torch.save(1, "canary")'),
    ("saves_by_namespace", "KMR502", 'ops.aten.save(1, "canary")'),
    ("saves_as_a_method", "KMR502", '(self).training.save("canary")'),
    ("maps_a_file", "KMR502", 'bad = torch.from_file("/etc/passwd", True, 10)'),
    ("maps_a_file_by_namespace", "KMR502", 'bad = ops.aten.from_file("/etc/passwd", True, 10)'),
    ("maps_a_file_as_a_method", "KMR502", 'bad = "/etc/passwd".from_file(True, 10)'),
    ("reads_an_image", "KMR502", 'bad = ops.image.read_file("/etc/passwd")'),
    ("writes_an_image", "KMR502", 'bad = ops.image.write_file("canary", x)'),
    ("all_reduce", "KMR503", 'bad = ops._c10d_functional.all_reduce(x, "sum", "0")'),
    ("remote_call", "KMR503", 'bad = ops.rpc.rpc_sync("worker", 1)'),
    ("remote_call_as_torch_has_it", "KMR503", 'bad = ops.prim.rpc_async("worker", 1)'),
    ("remote_call_by_its_name", "KMR503", 'bad = rpc_async("worker", 1)'),
    ("python_operator", "KMR501", "bad = ops.prim.PythonOp(x)"),
    ("custom_operator", "KMR506", "bad = ops.mylib.launch(x)"),
    ("cannot_be_parsed", "KMR501", "bad = = x"),
    ("getattr_of_a_hidden_name", "KMR501", "bad = getattr(x, str(1))"),
    ("saves_by_getattr", "KMR502", 'getattr(torch, "save")(1, "canary")'),
    ("saves_by_getattr_of_a_namespace", "KMR502", 'getattr(ops.aten, "save")(1, "canary")'),
    ("getattr_of_a_name_put_together", "KMR501", 'getattr(torch, "sa" + "ve")(1, "canary")'),
    ("hands_on_torch", "KMR501", 'bad = torch\n    bad.save(1, "canary")'),
    ("hands_on_an_operator", "KMR501", 'bad = torch.save\n    bad(1, "canary")'),
    ("hands_on_a_namespace", "KMR501", 'bad = ops.aten\n    bad.save(1, "canary")'),
    ("forks_an_operator", "KMR501", 'bad = fork(torch.save, 1, "canary")'),
    ("getattr_that_is_handed_on", "KMR501", 'bad = getattr(torch, "save")\n    bad(1, "canary")'),
    ("memory_beyond_a_tensor", "KMR501", "bad = ops.inductor._reinterpret_tensor(torch.zeros([4]), [100000], [1], 0)"),
    ("memory_of_a_pool", "KMR501", "bad = ops.inductor._alloc_from_pool(torch.zeros([4]), 0, 6, [100000], [1])"),
    ("storage_taken_away", "KMR501", "ops.inductor.resize_storage_bytes_(torch.zeros([4]), 0)"),
    (
        "indices_beyond_a_tensor",
        "KMR501",
        "bad = torch._sparse_coo_tensor_unsafe(torch.full([1, 1], 99999999, dtype=4), torch.zeros([1]), [4])",
    ),
    (
        "indices_beyond_a_tensor_in_parts",
        "KMR501",
        "bad = torch._sparse_coo_tensor_with_dims_and_tensors(1, 0, [4], torch.full([1, 1], 99999999, dtype=4), "
        'torch.zeros([1]), dtype=6, layout=1, device=torch.device("cpu"))',
    ),
    (
        "indices_changed",
        "KMR501",
        "bad = torch.to_sparse(torch.eye(4))\n    print(torch.fill_(torch._indices(bad), 99999999))\n"
        "    print(torch.to_dense(bad))",
    ),
    (
        "indices_changed_in_the_hand",
        "KMR501",
        "place = torch.zeros([1, 1], dtype=4)\n    bad = torch.sparse_coo_tensor(place, torch.ones([1]), [4])\n"
        "    place[0] = 99999999\n    print(torch.to_dense(bad), place)",
    ),
    (
        "indices_as_a_result",
        "KMR501",
        "bad = torch.to_sparse_csr(torch.eye(4))\n    place = torch.full([4], 99999999, dtype=4)\n"
        "    print(torch.add(place, place, out=(bad).col_indices()), torch.to_dense(bad))",
    ),
    (
        "indices_beyond_a_pool",
        "KMR501",
        "bad = torch.max_pool2d_with_indices_backward(torch.zeros([1, 1, 1]), torch.zeros([1, 2, 2]), [2, 2], [2, 2], "
        "[0, 0], [1, 1], False, torch.tensor([[[99999999]]]))",
    ),
    (
        "lengths_beyond_a_tensor",
        "KMR501",
        "bad = torch.ctc_loss(torch.zeros([2, 1, 3]), torch.full([1, 1], 99999999, dtype=4), torch.tensor([2]), "
        "torch.tensor([1]), 0, 0, False)",
    ),
    (
        "segments_beyond_a_tensor",
        "KMR501",
        'bad = torch.segment_reduce(torch.zeros([4]), "sum", lengths=torch.tensor([99999999]), unsafe=True)',
    ),
    (
        "object_taken_for_another",
        "KMR501",
        "bad = unchecked_cast(__torch__.torch.nn.modules.conv.Conv2d, self)\n    print((bad).weight)",
    ),
    (
        "object_taken_for_another_behind_a_question",
        "KMR501",
        "if torch.__isnot__(self, None):\n      bad = unchecked_cast(__torch__.torch.nn.modules.conv.Conv2d, self)"
        "\n      print((bad).weight)\n    else:\n      pass",
    ),
    (
        "object_taken_for_another_after_a_change",
        "KMR501",
        "any = annotate(Any, 1)\n    three = isinstance(any, Tuple[int, int, int])\n    any = annotate(Any, (1, 2))\n"
        "    if three:\n      bad = unchecked_cast(Tuple[int, int, int], any)\n      print(bad)\n    else:\n      pass",
    ),
    (
        "statistics_of_a_mismatch",
        "KMR501",
        "bad = torch._native_batch_norm_legit(x, x, x, x, x, True, 0.1, 1e-5)",
    ),
    ("axes_that_a_tensor_lacks", "KMR501", "bad = (x)._fft_c2c([100000], 0, True)"),
    ("gradient_of_a_mismatch", "KMR501", "bad = (x).embedding_dense_backward(x, 9999999, -1, False)"),
    ("class_of_nobody", "KMR506", "bad = torch.classes.mylib.Launch()"),
    ("class_that_connects", "KMR503", "bad = __torch__.torch.classes.c10d.ProcessGroup.__new__(0, 1)"),
    ("memory_beyond_a_tensor_as_a_method", "KMR501", "bad = (torch.zeros([4]))._reshape_alias([100000], [1])"),
):

    @bad(_rule, f"script_{_case}")
    def _(folder: Path, statement: str = _statement) -> Path:
        return _script(folder, statement)


@bad("KMR502")
def script_when_loaded(folder: Path) -> Path:
    """Runs before anybody calls the model."""
    return _script(folder, "pass", '\n  def __setstate__(self, state: int) -> NoneType:\n    torch.save(1, "canary")\n')


@bad("KMR501")
def script_pickle(folder: Path) -> Path:
    """The pickle of constants calls a function."""

    def change(name: str, data: bytes) -> bytes:
        return calls("os", "system", "touch canary") if name.endswith("constants.pkl") else data

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


_SIXTEEN, _MANY = b"K\x10", b"J" + struct.pack("<i", 10**9)
for _case, _rule, _storage, _size in (
    ("memory_beyond_a_storage", "KMR501", _MANY, _SIXTEEN),
    ("tensor_beyond_a_storage", "KMR501", _MANY, _MANY),
    ("tensor_beyond_its_own_claim", "KMR504", _SIXTEEN, _MANY),
):

    @bad(_rule, f"script_{_case}")
    def _(folder: Path, storage: bytes = _storage, size: bytes = _size) -> Path:
        """The pickle says that a piece of memory of 16 numbers has a billion, which torch believes."""

        def change(name: str, data: bytes) -> bytes:
            if not name.endswith("data.pkl"):
                return data
            real = _SIXTEEN + b"tQq\x10K\x00(" + _SIXTEEN + b"t"
            assert data.count(real) == 1
            return data.replace(real, storage + b"tQq\x10K\x00(" + size + b"t")

        return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad("KMR501")
def script_object_in_the_place_of_another(folder: Path) -> Path:
    """The code declares a Linear, and the pickle holds the convolution once more."""

    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("data.pkl"):
            return data
        at = data.index(b"c__torch__.torch.nn.modules.activation\nReLU\n")
        end = data.index(b"ub", at) + 2
        return data[:at] + b"h\x15" + data[end:]  # what stands in the memo as the first submodule

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad("KMR501")
def script_indices_changed_of_a_weight(folder: Path) -> Path:
    """The pickle makes a sparse tensor of others, which code can change."""
    (folder / "small").mkdir()
    path = _script(folder / "small", "print(torch.add_(torch.zeros([1]), 1))")

    def change(name: str, data: bytes) -> bytes:
        made = b"X\x03\0\0\0badctorch._utils\n_rebuild_sparse_tensor\n(NtR"
        return data[:-5] + made + b"ub." if name.endswith("data.pkl") else data

    return rewritten(path, folder / "model.pt", change, {})


@bad("KMR506")
def script_holds_a_class_of_nobody(folder: Path) -> Path:
    """A member of the module is an object of a class in C++, which a library would bring."""

    def change(name: str, data: bytes) -> bytes:
        if name.endswith(".py"):
            return data.replace(b"embed : __torch__.torch.nn.modules.conv.Conv2d", b"embed : Any", 1)
        return data.replace(b"torch.nn.modules.conv\nConv2d", b"torch.classes.mylib\nLaunch", 1)

    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", change, {})


@bad("KMR505")
def script_twice(folder: Path) -> Path:
    """A member that leads out of the archive."""
    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", lambda _, data: data, {"../../canary": b""})


def _renamed(folder: Path, path: Path, ending: str) -> Path:
    """A copy of an archive in which names that end so do it in capital letters: torch finds them all the same."""
    goal = folder / "model.pt"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(goal, "w") as new:
        for name in old.namelist():
            new.writestr(name.removesuffix(ending) + ending.upper() if name.endswith(ending) else name, old.read(name))
    return goal


@bad("KMR502")
def script_code_in_capitals(folder: Path) -> Path:
    """Code that saves, in a member with another ending."""
    (folder / "small").mkdir()
    return _renamed(folder, _script(folder / "small", 'torch.save(1, "canary")'), ".py")


@bad("KMR501")
def script_pickle_in_capitals(folder: Path) -> Path:
    """A pickle that calls, in a member with another ending."""
    (folder / "small").mkdir()
    return _renamed(folder, script_pickle(folder / "small"), ".pkl")


@bad("KMR505")
def script_in_two_cases(folder: Path) -> Path:
    """The code twice, under names that torch takes for one."""
    more = {"code/__torch__/TORCH_networks.py": b""}
    return rewritten(SAMPLES / "windows.pt", folder / "model.pt", lambda _, data: data, more)


@bad("KMR505")
def script_of_two_counts(folder: Path) -> Path:
    """The end of the archive counts one member: torch believes that, and Python counts for itself."""
    path = rewritten(SAMPLES / "windows.pt", folder / "model.pt", lambda _, data: data, {})
    data = bytearray(path.read_bytes())
    struct.pack_into("<2H", data, len(data) - 14, 1, 1)
    path.write_bytes(data)
    return path


@bad("KMR505")
def script_of_two_names(folder: Path) -> Path:
    """A member with another name beside its own."""
    path = rewritten(SAMPLES / "windows.pt", folder / "model.pt", lambda _, data: data, {})
    other = b"windows/code/__torch__/torch_networks.py"
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("windows/extra/notes.txt")
        info.extra = struct.pack("<2HBL", 0x7075, 5 + len(other), 1, 0) + other
        archive.writestr(info, b"")
    return path


def _program(folder: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    def change(name: str, data: bytes) -> bytes:
        if not name.endswith("models/model.json"):
            return data
        document = json.loads(data)
        edit(document)
        return json.dumps(document).encode()

    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", change, {})


def _target(target: str) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    return edit


for _case, _rule, _name in (
    ("maps_a_file", "KMR502", "torch.ops.aten.from_file.default"),
    ("saves", "KMR502", "torch.ops.aten.save.default"),
    ("all_reduce", "KMR503", "torch.ops._c10d_functional.all_reduce.default"),
    ("python", "KMR501", "os.system"),
    ("operator_module", "KMR501", "_operator.attrgetter.__class__.x"),
    ("operator_that_calls_methods", "KMR501", "_operator.methodcaller"),
    ("operator_that_calls", "KMR501", "_operator.call"),
    ("module_of_math", "KMR501", "math.__loader__.load_module"),
    ("module_of_sizes", "KMR501", "torch.sym_int.__globals__"),
    ("kernel_of_the_process", "KMR501", "torch.ops.higher_order.triton_kernel_wrapper_functional"),
    ("library_for_a_graph", "KMR501", "torch.ops.higher_order.aoti_call_delegate"),
    ("indices_beyond_a_tensor", "KMR501", "torch.ops.aten._sparse_csr_tensor_unsafe.default"),
    ("gradient_of_a_mismatch", "KMR501", "torch.ops.aten.avg_pool2d_backward.default"),
    ("custom_operator", "KMR506", "torch.ops.mylib.launch.default"),
):

    @bad(_rule, f"pt2_{_case}")
    def _(folder: Path, name: str = _name) -> Path:
        return _program(folder, _target(name))


@bad("KMR501")
def pt2_indices_changed(folder: Path) -> Path:
    """One operator hands out the indices of a sparse tensor, another one changes a tensor."""

    def edit(document: dict[str, Any]) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        nodes[0]["target"], nodes[1]["target"] = "torch.ops.aten._indices.default", "torch.ops.aten.fill_.Scalar"

    return _program(folder, edit)


def _size(expression: str) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        document["bad"] = {"as_expr": {"expr_str": expression, "hint": None}}

    return edit


for _case, _expression in (
    ("import", "__import__('os').system('touch canary')"),
    ("attribute", "Symbol('s0').__class__.__base__"),
    ("lambda", "(lambda: 1)()"),
    ("comprehension", "[x for x in (1,)]"),
    ("call_of_python", "input()"),
    ("call_of_sympy", "preview(1)"),
    ("keyword", "Symbol('s0', integer=[].__class__.__base__.__subclasses__()[0])"),
    ("second_argument", "Symbol('s0', [].__class__.mro())"),
):

    @bad("KMR501", f"pt2_size_{_case}")
    def _(folder: Path, expression: str = _expression) -> Path:
        return _program(folder, _size(expression))


def _edited(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update({key: value})


for _case, _condition in (
    ("calls", "torch.save(1, 'canary')"),
    ("attribute", "L['x'].size().__class__ == 1"),
    ("quotes", "L['x'].size()[0] == 'a\"); open(\\'canary\\', \\'w\\')#'"),
    ("lambda", "(lambda: 1)() == 1"),
    ("number", 5),
):

    @bad("KMR501", f"pt2_condition_{_case}")
    def _(folder: Path, condition: Any = _condition) -> Path:
        return _program(folder, _edited("guards_code", [condition]))


for _case, _context in (
    ("factory", {"default_factory_module": "os", "default_factory_name": "abort", "dict_context": []}),
    ("enumeration", {"__enum__": True, "fqn": "canary:Kind", "name": "A"}),
    ("text_in_text", json.dumps({"__enum__": True, "fqn": "canary:Kind", "name": "A"})),
):

    @bad("KMR501", f"pt2_structure_{_case}")
    def _(folder: Path, context: Any = _context) -> Path:
        kind = "collections.defaultdict" if isinstance(context, dict) else "builtins.dict"
        spec = [1, {"type": kind, "context": context, "children_spec": []}]
        return _program(folder, _edited("module_call_graph", [{"in_spec": json.dumps(spec)}]))


@bad("KMR501")
def pt2_compiled(folder: Path) -> Path:
    """A library that torch loads with the file."""
    more = {"data/aotinductor/model/model.so": b"\x7fELF"}
    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, more)


@bad("KMR501")
def pt2_pickle(folder: Path) -> Path:
    """Weights that only a pickle can rebuild."""
    more = {"data/constants/bad.pt": calls("os", "system", "touch canary")}
    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, more)


@bad("KMR501")
def pt2_pickle_inside_of_weights(folder: Path) -> Path:
    """An archive of torch.save in the archive, whose pickle calls a function."""
    payload = io.BytesIO()
    with zipfile.ZipFile(payload, "w") as inner:
        inner.writestr("bad/data.pkl", calls("os", "system", "touch canary"))
    more = {"data/weights/bad.pt": payload.getvalue()}
    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, more)


def _in_a_tar(data: bytes) -> bytes:
    """As torch.save wrote before 0.1.10, which torch.load still reads."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        info = tarfile.TarInfo("pickle")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return written.getvalue()


for _case, _payload in (
    ("of_protocol_0", b"cos\nsystem\n(S'touch canary'\ntR."),
    ("in_a_tar", _in_a_tar(calls("os", "system", "touch canary"))),
):

    @bad("KMR501", f"pt2_pickle_{_case}")
    def _(folder: Path, payload: bytes = _payload) -> Path:
        more = {"data/weights/bad.pt": payload}
        return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, more)


for _case, _config in (("weight", "model_weights_config.json"), ("constant", "model_constants_config.json")):

    @bad("KMR501", f"pt2_{_case}_to_unpickle")
    def _(folder: Path, kind: str = _case, config: str = _config) -> Path:
        """The description says that it is a pickle, and its name doesn't."""

        def change(name: str, data: bytes) -> bytes:
            if not name.endswith(config):
                return data
            document = json.loads(data)
            document["config"]["bad"] = {"path_name": f"{kind}_bad", "is_param": False, "use_pickle": True,
                                         "tensor_meta": None}  # fmt: skip
            return json.dumps(document).encode()

        more = {f"data/{kind}s/{kind}_bad": calls("os", "system", "touch canary")}
        return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", change, more)


@bad("KMR505")
def pt2_leads_out(folder: Path) -> Path:
    """A member that leads out of the archive."""
    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, {"../../canary": b""})


@bad("KMR502")
def pt2_in_capitals(folder: Path) -> Path:
    """A description that torch finds under another name."""
    (folder / "small").mkdir()
    path = _program(folder / "small", _target("torch.ops.aten.save.default"))
    with zipfile.ZipFile(path) as changed:
        name = next(name for name in changed.namelist() if name.endswith("models/model.json"))
        more = {"models/model.JSON": changed.read(name)}
    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, more)


@bad("KMR501")
def pt2_source_beside(folder: Path) -> Path:
    """Python that comes with the file."""
    more = {"data/aotinductor/model/kernel.py": b"open('canary', 'w')"}
    return rewritten(SAMPLES / "digits.pt2", folder / "model.pt2", lambda _, data: data, more)


@bad("KMR501")
def pt2_operator_in_a_branch(folder: Path) -> Path:
    """A graph inside an operator that is fine."""

    def edit(document: dict[str, Any]) -> None:
        nodes = document["graph_module"]["graph"]["nodes"]
        inner = json.loads(json.dumps(nodes[0])) | {"target": "builtins.exec"}
        nodes[0]["inputs"].append({"name": "body", "kind": 1, "arg": {"as_graph": {"name": "b", "graph": {
            "inputs": [], "outputs": [], "nodes": [inner], "tensor_values": {}}}}})  # fmt: skip

    return _program(folder, edit)
