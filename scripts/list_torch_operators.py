"""Prints the operators of torch that compute, as kmr_cli/formats/common/torch_operators.txt keeps them.

Run it with the newest torch:
    python scripts/list_torch_operators.py > kmr_cli/formats/common/torch_operators.txt
"""

import torch
import torch.ao.quantization.fx._decomposed  # registers what quantization leaves

from kmr_cli.formats.common.torch_operators import UNCHECKED

CUT = {
    "aten::save": "writes a file",
    "aten::from_file": "reads a file",
    "prim::PythonOp": "calls Python",
    "prim::IgnoredPythonOp": "the same",
    "prim::rpc_async": "calls another machine",
    "prim::rpc_remote": "the same",
    "prim::rpc_sync": "the same",
}
CUT_NAMESPACES = {
    "c10d": "exchanges tensors with other machines",
    "_c10d_functional": "the same",
    "_c10d_functional_autograd": "the same",
    "_dtensor": "the same",
    "symm_mem": "the same",
    "_test": "for tests of torch",
    "_native": "for tests of torch",
    "debug_mode_ops": "for debugging",
    "debugprims": "reads files",
    "onnx": "not run by torch",
}

if __name__ == "__main__":
    names = {schema.name for schema in torch._C._jit_get_all_schemas()}
    names |= {name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    for name in sorted(names - CUT.keys() - UNCHECKED.keys()):
        if name.partition("::")[0] not in CUT_NAMESPACES:
            print(name)
