"""The protobuf messages of a SavedModel, declared privately, so that TensorFlow is not needed to read them.

Only the fields that this program looks at are declared. protobuf keeps the others as unknown fields and writes
them back unchanged. The descriptors live in a pool of their own, because the default pool accepts TensorFlow's
definitions of the same messages only once.

Field numbers: tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, saved_object_graph.proto,
trackable_object_graph.proto, struct.proto, tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto,
tensor.proto, function.proto, op_def.proto, and tf_keras/src/protobuf/saved_metadata.proto for KerasMetadata.
"""

from __future__ import annotations

from typing import Any

from kmr_cli.formats.common.messages import declare

# In the notation of ``declare``.
_DECLARATIONS = """
SavedModel meta_graphs=2:*MetaGraphDef
MetaGraphDef meta_info_def=1:MetaInfoDef graph_def=2:GraphDef saver_def=3:SaverDef collection_def=4:CollectionDef{}
MetaGraphDef signature_def=5:SignatureDef{} asset_file_def=6:*AssetFileDef object_graph_def=7:SavedObjectGraph
MetaInfoDef stripped_op_list=2:OpList tags=4:*string tensorflow_version=5:string
SaverDef filename_tensor_name=1:string save_tensor_name=2:string restore_op_name=3:string
CollectionDef node_list=1:NodeList any_list=5:AnyList
AnyList value=1:*Any
Any type_url=1:string value=2:bytes
NodeList value=1:*string
AssetFileDef tensor_info=1:TensorInfo filename=2:string
OpList op=1:*OpDef
OpDef name=1:string input_arg=2:*ArgDef output_arg=3:*ArgDef attr=4:*AttrDef is_stateful=17:bool
ArgDef name=1:string type=3:int32 type_attr=4:string number_attr=5:string type_list_attr=6:string
AttrDef name=1:string default_value=3:AttrValue
GraphDef node=1:*NodeDef library=2:FunctionDefLibrary versions=4:bytes
FunctionDefLibrary function=1:*FunctionDef
FunctionDef signature=1:OpDef node_def=3:*NodeDef ret=4:string{} control_ret=6:string{}
NodeDef name=1:string op=2:string input=3:*string device=4:string attr=5:AttrValue{}
AttrValue list=1:ListValue s=2:bytes i=3:int64 f=4:float b=5:bool type=6:int32 shape=7:TensorShapeProto
AttrValue tensor=8:bytes placeholder=9:string func=10:NameAttrList
ListValue s=2:*bytes i=3:*int64 type=6:*int32 shape=7:*TensorShapeProto func=9:*NameAttrList
NameAttrList name=1:string attr=2:AttrValue{}
TensorShapeProto dim=2:*Dim unknown_rank=3:bool
TensorProto dtype=1:int32 tensor_shape=2:TensorShapeProto tensor_content=4:bytes float_val=5:*float double_val=6:*double
TensorProto int_val=7:*int32 string_val=8:*bytes int64_val=10:*int64 bool_val=11:*bool half_val=13:*int32
Dim size=1:int64
SignatureDef inputs=1:TensorInfo{} outputs=2:TensorInfo{} method_name=3:string
TensorInfo name=1:string dtype=2:int32 tensor_shape=3:TensorShapeProto coo_sparse=4:CooSparse
TensorInfo composite_tensor=5:CompositeTensor
CooSparse values_tensor_name=1:string indices_tensor_name=2:string dense_shape_tensor_name=3:string
CompositeTensor type_spec=1:TypeSpec components=2:*TensorInfo
TypeSpec type_spec_class=1:int32 type_state=2:StructuredValue type_spec_class_name=3:string
StructuredValue int64_value=12:int64 tensor_shape_value=31:TensorShapeProto tensor_spec_value=33:TensorSpec
StructuredValue type_spec_value=34:TypeSpec
StructuredValue bounded_tensor_spec_value=35:TensorSpec list_value=51:StructuredList tuple_value=52:StructuredList
StructuredValue dict_value=53:StructuredDict named_tuple_value=54:NamedTuple
StructuredList values=1:*StructuredValue
StructuredDict fields=1:StructuredValue{}
NamedTuple name=1:string values=2:*NamedField
NamedField key=1:string value=2:StructuredValue
TensorSpec name=1:string
SavedObjectGraph nodes=1:*SavedObject concrete_functions=2:SavedConcreteFunction{}
SavedConcreteFunction bound_inputs=2:*int32 canonicalized_input_signature=3:StructuredValue
SavedObject children=1:*ObjectReference user_object=4:SavedUserObject variable=7:SavedVariable
SavedObject constant=9:SavedConstant
SavedConstant operation=1:string
ObjectReference node_id=1:int32 local_name=2:string
SavedUserObject identifier=1:string metadata=3:string
SavedVariable dtype=1:int32 shape=2:TensorShapeProto name=6:string
TrackableObjectGraph nodes=1:*TrackableObject
TrackableObject attributes=2:*SerializedTensor
SerializedTensor name=1:string checkpoint_key=3:string
KerasMetadata nodes=1:*KerasNode
KerasNode node_id=2:int32 node_path=3:string identifier=4:string metadata=5:string
"""

_CLASSES = declare("kmr_inspect", _DECLARATIONS, oneof=("AttrValue",))

SavedModel: Any = _CLASSES["SavedModel"]
MetaGraphDef: Any = _CLASSES["MetaGraphDef"]
NodeDef: Any = _CLASSES["NodeDef"]
OpDef: Any = _CLASSES["OpDef"]
GraphDef: Any = _CLASSES["GraphDef"]
AttrValue: Any = _CLASSES["AttrValue"]
TensorProto: Any = _CLASSES["TensorProto"]
AssetFileDef: Any = _CLASSES["AssetFileDef"]
TrackableObjectGraph: Any = _CLASSES["TrackableObjectGraph"]
KerasMetadata: Any = _CLASSES["KerasMetadata"]
