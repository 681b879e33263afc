"""Which of TensorFlow's operations do more than compute, and why. Closed by default.

An operation is fine if TensorFlow has it (``describe/operators.txt`` lists those with results, :data:`SILENT` those
without), it doesn't stand here, and ``groups.py`` has a reason. Of operations that nobody listed, the file alone tells
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from kmr_cli.formats.common.words import words
from kmr_cli.formats.savedmodel.describe import operators
from kmr_cli.formats.savedmodel.scan import groups
from kmr_cli.records.scan import HazardKind

_READS, _WRITES = "reads files", "writes files"
_HARMFUL: Mapping[str, tuple[HazardKind, str]] = {
    "PyFunc|PyFuncStateless|EagerPyFunc": ("code", "calls a Python function of the process"),
    "MlirPassthroughOp": ("code", "runs a program that stands in a text, where it cannot be looked into"),
    "DatasetFromGraph": ("code", "runs a graph that stands in a text, where it cannot be looked into"),
    "XlaCustomCall|XlaCustomCallV2|XlaHostCompute|_XlaHostComputeMlir": ("code", "calls a function of the process"),
    "Abort": ("exhaustion", "ends the process"),
    "SleepOp|SleepIdentityOp|(Experimental)?SleepDataset": ("exhaustion", "waits"),
    "ImmutableConst": ("files", "reads any file, as the memory that it stands in"),
    "DTensorRestoreV2": ("files", "reads files, and stands outside what restores the weights"),
    "ReadFile|MatchingFiles|ListSnapshotChunksDataset|LoadAndRemapMatrix|GenerateVocabRemapping": ("files", _READS),
    "(TFRecord|TextLine|WholeFile|FixedLengthRecord|LMDB)Reader(V2)?": ("files", _READS),
    "(Experimental)?(TFRecord|TextLine|FixedLengthRecord|Sql|CSV|MatchingFiles|LMDB|SSTable|Load|List)Dataset(V\\d)?":
        ("files", _READS),
    "WriteFile|DumpTensor|FileSystemSetConfiguration|CalibrationStatisticsSaver|(Experimental)?(Save|Snapshot|Cache)Dataset(V\\d)?|DatasetToTFRecord|ExperimentalDatasetToTFRecord":
        ("files", _WRITES),
    "SnapshotNestedDatasetReader|SnapshotDatasetReader|SnapshotChunkDataset|DistributedSave|Distributed(Snapshot|Save).*":
        ("files", _WRITES),
    "CreateSummaryFileWriter|CreateSummaryDbWriter|Write\\w*Summary|ImportEvent|FlushSummaryWriter": ("files", _WRITES),
    "Copy(Host)?|DebugIdentity(V\\d)?|DebugNanCount|DebugNumericSummary(V\\d)?":
        ("files", "writes values to where its debug_urls point, files or a server"),
    "RemoteCall|Rpc(Client|Call|Server|CheckStatus|GetValue)\\w*|TryRpc|Rpc": ("network", "calls another machine"),
    "(Register|Uncompress)?DataService\\w*|RegisterDataset(V\\d)?|BigQueryReader": ("network", "asks another machine"),
    "Collective\\w+|ConfigureDistributedTPU|_?(Host)?(Send|Recv)|WorkerHeartbeat|(Send|Recv)TPU\\w+|_?Xla(Send|Recv)\\w*":
        ("network", "exchanges values with other machines"),
}  # fmt: skip
"""Expressions for names, whole; what kind of hazard, and what such an operation does."""
SAVER: Mapping[str, str] = {
    "Save": _WRITES, "SaveV2": _WRITES, "SaveSlices": _WRITES, "MergeV2Checkpoints": _WRITES, "Restore": _READS,
    "RestoreV2": _READS, "RestoreSlice": _READS,
}  # fmt: skip
"""Operations that belong into the part of the file that saves and restores weights, and nowhere else."""
NAMES_AT: Mapping[str, tuple[int, ...]] = {"MergeV2Checkpoints": (0, 1)}
"""Inputs of operations of the saver that are names of files, where it isn't the first one alone."""
FILE_ATTRIBUTES: Mapping[str, str] = {
    "DecodeProtoV2": "descriptor_source", "EncodeProto": "descriptor_source", "Skipgram": "filename",
    "RecordInput": "file_pattern", "FixedUnigramCandidateSampler": "vocab_file",
}  # fmt: skip
"""Operations that read a file which an attribute names -> the attribute."""
NO_FILES = ("local://", "bytes://")
"""What a ``descriptor_source`` begins with where it names no file."""
PROGRAMS = frozenset({"XlaCallModule"})
"""Operations that hold a program of XLA, which is looked into."""
TABLES = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
"""Operations that read a vocabulary, which has to be an asset of the model."""
SILENT = words("""
    NoOp Assert ControlTrigger Print PrintV2 Assign AssignVariableOp AssignAddVariableOp AssignSubVariableOp
    ResourceScatterAdd ResourceScatterSub ResourceScatterMul ResourceScatterDiv ResourceScatterMin
    ResourceScatterMax ResourceScatterUpdate ResourceScatterNdAdd ResourceScatterNdSub ResourceScatterNdUpdate
    ResourceScatterNdMax ResourceScatterNdMin ResourceStridedSliceAssign InitializeTable InitializeTableV2
    InitializeTableFromTextFile InitializeTableFromTextFileV2 LookupTableInsert LookupTableInsertV2
    LookupTableImport LookupTableImportV2 LookupTableRemoveV2 DestroyResourceOp TensorArrayClose
    TensorArrayCloseV2 TensorArrayCloseV3 QueueClose QueueCloseV2 QueueEnqueue QueueEnqueueV2 QueueEnqueueMany
    QueueEnqueueManyV2 StackClose StackCloseV2 BarrierClose BarrierInsertMany DeleteSessionTensor DeleteIterator
    DeleteMemoryCache DeleteSeedGenerator DeleteRandomSeedGenerator MakeIterator IteratorGetDevice RngSkip
    BoostedTreesCreateEnsemble BoostedTreesCreateQuantileStreamResource BoostedTreesDeserializeEnsemble
    CloseSummaryWriter SummaryWriter AssignAdd AssignSub TPUReplicateMetadata TPUPartitionedInput
    TPUReplicatedInput ResourceCountUpTo DisableCopyOnRead Stage StageClear MapStage MapClear OrderedMapStage
    OrderedMapClear AccumulatorApplyGradient AccumulatorSetGlobalStep ResourceAccumulatorApplyGradient
    SdcaShrinkL1 SyncDevice InitializeTableFromDataset LookupTableExportV2 StatefulPartitionedCall
    PartitionedCall
""")
"""Operations without results that change variables, tables and queues of the model alone."""
INTERNAL = frozenset({"_Arg", "_Retval", "_ArrayToList", "_ListToArray", "_If", "_While", "_FusedConv2D"})
"""Operations that TensorFlow itself puts into graphs."""
_TRAINING = re.compile(r"(Resource|)(Sparse|)Apply[A-Z]\w*")


def hazard(operation: str) -> tuple[HazardKind, str] | None:
    """What kind of harm an operation could do and how, or None. Those of the saver are not asked about."""
    return next(hazards(operation), None)


def hazards(operation: str) -> Iterator[tuple[HazardKind, str]]:
    """The same of every line that speaks of it."""
    for pattern, found in _HARMFUL.items():
        if re.fullmatch(pattern, operation):
            yield found


def is_known(operation: str) -> bool:
    """Whether TensorFlow has it, and it computes."""
    listed = operation in SILENT or operation in INTERNAL or _TRAINING.fullmatch(operation) is not None
    return (listed or operators.definition(operation) is not None) and bool(groups.reasons(operation))
