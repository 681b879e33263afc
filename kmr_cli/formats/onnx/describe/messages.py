"""ONNX's protocol buffers, declared as far as this program needs them.

In a private descriptor pool, so that the ``onnx`` package can be imported beside it. As proto3, which refuses text that
isn't UTF-8, with every single field optional, so that a zero that was written stays written. Fields that are not
declared here survive reading and writing as they are. Numbers are from onnx/onnx.proto.
"""

from __future__ import annotations

from typing import Any

from kmr_cli.formats.common.messages import declare

# In the notation of ``declare``.
_DECLARATIONS = """
ModelProto ir_version=1:int64 producer_name=2:string producer_version=3:string domain=4:string graph=7:GraphProto
ModelProto opset_import=8:*OperatorSetIdProto metadata_props=14:*StringStringEntryProto functions=25:*FunctionProto
OperatorSetIdProto domain=1:string version=2:int64
StringStringEntryProto key=1:string value=2:string
GraphProto node=1:*NodeProto name=2:string initializer=5:*TensorProto input=11:*ValueInfoProto
GraphProto output=12:*ValueInfoProto value_info=13:*ValueInfoProto sparse_initializer=15:*SparseTensorProto
NodeProto input=1:*string output=2:*string name=3:string op_type=4:string attribute=5:*AttributeProto domain=7:string
NodeProto overload=8:string metadata_props=9:*StringStringEntryProto
AttributeProto name=1:string f=2:float i=3:int64 s=4:bytes t=5:TensorProto g=6:GraphProto floats=7:*float
AttributeProto ints=8:*int64 strings=9:*bytes graphs=11:*GraphProto type=20:int32 ref_attr_name=21:string
AttributeProto tensors=10:*TensorProto sparse_tensor=22:SparseTensorProto sparse_tensors=23:*SparseTensorProto
TensorProto dims=1:*int64 data_type=2:int32 float_data=4:*float int32_data=5:*int32 int64_data=7:*int64 name=8:string
TensorProto raw_data=9:bytes double_data=10:*double external_data=13:*StringStringEntryProto data_location=14:int32
SparseTensorProto values=1:TensorProto indices=2:TensorProto dims=3:*int64
ValueInfoProto name=1:string type=2:TypeProto
TypeProto tensor_type=1:TensorTypeProto sequence_type=4:ElementProto map_type=5:MapProto sparse_tensor_type=8:TensorTypeProto
TypeProto optional_type=9:ElementProto
TensorTypeProto elem_type=1:int32 shape=2:TensorShapeProto
ElementProto elem_type=1:TypeProto
MapProto key_type=1:int32 value_type=2:TypeProto
TensorShapeProto dim=1:*DimensionProto
DimensionProto dim_value=1:int64 dim_param=2:string
FunctionProto name=1:string input=4:*string output=5:*string attribute=6:*string node=7:*NodeProto
FunctionProto opset_import=9:*OperatorSetIdProto domain=10:string attribute_proto=11:*AttributeProto
FunctionProto value_info=12:*ValueInfoProto overload=13:string
"""  # noqa: E501

_CLASSES = declare("kmr_inspect_onnx", _DECLARATIONS, optional=True)

ModelProto: Any = _CLASSES["ModelProto"]
GraphProto: Any = _CLASSES["GraphProto"]
NodeProto: Any = _CLASSES["NodeProto"]
TensorProto: Any = _CLASSES["TensorProto"]
TypeProto: Any = _CLASSES["TypeProto"]
ValueInfoProto: Any = _CLASSES["ValueInfoProto"]
OperatorSetIdProto: Any = _CLASSES["OperatorSetIdProto"]
StringStringEntryProto: Any = _CLASSES["StringStringEntryProto"]
