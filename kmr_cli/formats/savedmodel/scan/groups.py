"""Operations of TensorFlow that keep or change something, by groups, and why those of a group do no harm.

All others that TensorFlow has compute their results from their inputs alone, as its own list of operations says; those
that reach beyond the model all the same stand in ``operators.py``. What is in neither is nobody's: closed by default.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from kmr_cli.formats.savedmodel.describe import operators

STATELESS = "computes its results from its inputs, and keeps and changes nothing"
GROUPS: Mapping[str, str] = {
    r"(Resource|)(Sparse|)Apply[A-Z]\w*": "changes a variable of the model, as a step of training",
    r"Assign|Assign(Add|Sub)(VariableOp)?|AssignVariableOp|ReadVariable(Op|XlaSplitND)|VarHandleOp|VarIsInitializedOp|"
    r"Variable(V2|Shape)?|TemporaryVariable|DestroyResourceOp|DisableCopyOnRead|StubResourceHandleOp|"
    r"Resource(Gather(Nd)?|Scatter\w+|StridedSliceAssign|CountUpTo|InitializedOp)|MakeWeakResourceHandle|"
    r"IsResourceHandleRefCounting": "reads or changes a variable of the model",
    r"(Anonymous)?(Mutable(Dense)?)?HashTable(OfTensors)?(V2)?|InitializeTable(V2|FromDataset)?|"
    r"LookupTable(Export|Find|Import|Insert|Remove|Size)(V2)?": "reads or changes a table of the model, in memory",
    r"\w*Random(?!Dataset|ShuffleQueue)\w*|\w*(Truncated|StandardNorm|TruncatedNorm)\w*|Multinomial|Stateful(Uniform\w*|\w+Normal\w*)|"
    r"NonDeterministicInts|Rng(Skip|ReadAndSkip)|SampleDistortedBoundingBox(V2)?|Dummy(SeedGenerator|MemoryCache)|"
    r"(Anonymous|Delete)SeedGenerator|(All|LearnedUnigram|LogUniform|ThreadUnsafeUnigram|Uniform)CandidateSampler":
        "draws random numbers, or keeps where they go on",
    r"(FIFO|PaddingFIFO|Priority|RandomShuffle|Fake)Queue(V2)?|Queue(Close|Dequeue|Enqueue|IsClosed|Size)\w*|"
    r"Stack(V2)?|Stack(Close|Pop|Push)(V2)?|(Ordered)?Map(Clear|Stage|Peek|Size|IncompleteSize|Unstage(NoKey)?)|"
    r"Stage(Clear|Peek|Size)?|Unstage|Barrier(Close|InsertMany)?|TensorArray\w*|(Add|AddMany)SparseToTensorsMap|"
    r"TakeManySparseFromTensorsMap|Mutex(Lock|V2)": "keeps tensors in memory, in the order in which they came",
    r"(Resource|Sparse|)(ConditionalAccumulator|AccumulatorApplyGradient)|AccumulatorSetGlobalStep|"
    r"Resource(ConditionalAccumulator|Accumulator\w+)": "adds up gradients in memory",
    r"(Anonymous|MultiDevice|AnonymousMultiDevice|OneShot|Make|Delete|)Iterator(V2|V3|Init|GetDevice)?|"
    r"(Multi(Device))?Iterator(FromStringHandle(V2)?|GetModelProto|GetNext\w*|ToStringHandle|GetDevice)|"
    r"MultiDeviceIterator(FromStringHandle|GetNextFromShard|Init|ToStringHandle)|SerializeIterator|"
    r"ExperimentalIteratorGetDevice|(Anonymous|Delete)MemoryCache|DummyIterationCounter|DatasetToSingleElement|"
    r"ReduceDataset|GlobalShuffleDataset|GeneratorDataset|(Experimental)?(GroupByReducer|SetStatsAggregator|ThreadPool|"
    r"Random)Dataset(V2)?|RangeDataset|Shuffle(AndRepeat)?DatasetV[23]|SparseTensorSliceDataset|Tensor(Slice)?Dataset|"
    r"(Experimental)?(StatsAggregator(Handle|Summary)|ThreadPoolHandle)(V2)?":
        "goes through a data set, whose sources are operations of their own",
    r"Case|If|While|_If|_While|XlaIf|XlaWhile|RiscWhile|StatefulPartitionedCall|PartitionedCall|DeviceIndex|_Arg|_Retval|"
    r"_ArrayToList|_ListToArray|NoOp|ControlTrigger": "calls functions of the file, or puts operations in order",
    r"Assert|CheckNumerics(V2)?|Print|PrintV2|Timestamp|Empty|DeepCopy|GuaranteeConst|GraphDefVersion|SyncDevice|"
    r"IsTensorFloat32Enabled|_FusedConv2D|(Get|Delete)Session(Handle|HandleV2|Tensor)":
        "checks, shows or copies a tensor, or tells of the process that it runs in",
    r"SummaryWriter|CloseSummaryWriter": "names something that writes files; what opens it is refused",
    r"IdentityReader(V2)?|Reader(NumRecordsProduced|NumWorkUnitsCompleted|Read|ReadUpTo|SerializeState)\w*":
        "asks a reader, which is an operation of its own; the one here reads nothing but its queue",
    r"CudnnRNN\w*|BoostedTrees\w+|IsBoostedTrees\w+|SdcaShrinkL1|XlaDequantize|XlaLaunch|XlaCallModule|"
    r"ConvertToCooTensor|XlaSparseCore\w+": "computes, with a state that is a tensor or a resource of the model",
    r"AllToAll|CrossReplicaSum|Nccl\w+|GlobalIterId|GetMinibatch\w+|DevicePlacementOp":
        "exchanges values between devices of one machine",
    r"(Configure|Execute|Finalize|Is|Retrieve|RetrieveAll)\w*TPU\w*|TPU\w+|Collate\w*TPU\w*|ComputeDedupData\w+|"
    r"ShutdownTPUSystem|Infeed\w+|Outfeed\w+": "drives an accelerator; on a processor there is no code for it",
    r"DtypeWithDefaultOp|RequiresOlderGraphVersion|TestAttr": "is there for TensorFlow's own tests",
}  # fmt: skip
"""Expressions for names, whole -> why such operations are allowed."""


@cache
def reasons(operation: str) -> tuple[str, ...]:
    """Why an operation is allowed, as far as its kind goes; the lists of ``operators.py`` come before."""
    found = tuple(reason for pattern, reason in GROUPS.items() if re.fullmatch(pattern, operation))
    return found or ((STATELESS,) if operators.is_stateless(operation) else ())
