"""Prints what TensorFlow's operations hand out, as kmr_cli/formats/savedmodel/describe/operators.txt keeps it.

Run it with the newest TensorFlow:
    python scripts/list_operators.py > kmr_cli/formats/savedmodel/describe/operators.txt
"""

from collections.abc import Iterator

from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session


def lines() -> Iterator[str]:
    """``Split output=T*num_split``: name, then every output with its type; then the defaults of attributes in it.

    ``Assign! output_ref=T``: it keeps or changes something.

    A type is TensorFlow's number, an attribute that holds a type, or ``@`` and one that holds a list of types; ``*``
    and an attribute: as many of them.
    """
    operations = op_def_pb2.OpList()
    operations.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    for operation in sorted(operations.op, key=lambda one: one.name):
        if operation.name.startswith("_") or not operation.output_arg:
            continue
        words, used = [f"{operation.name}!" if operation.is_stateful else operation.name], set()
        for output in operation.output_arg:
            kind = f"@{output.type_list_attr}" if output.type_list_attr else output.type_attr or str(output.type)
            words.append(f"{output.name}={kind}" + (f"*{output.number_attr}" if output.number_attr else ""))
            used |= {output.type_attr, output.number_attr}
        defaults = [attr for attr in operation.attr if attr.name in used and attr.HasField("default_value")]
        words += [f"{attr.name}:{attr.default_value.type or attr.default_value.i}" for attr in defaults]
        yield " ".join(words)


if __name__ == "__main__":
    for line in lines():
        print(line)
