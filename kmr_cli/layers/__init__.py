"""The bundled layers: Keras 3, any backend, registered under ``kmr.layers``.

    from kmr_cli.layers import DynamicBatchIndexGenerator

Importing this package imports Keras, and with it the backend that ``KERAS_BACKEND`` names. It also makes the layers
known to ``keras.saving.load_model``, so that models which hold them load.
"""

from kmr_cli.layers.batch_aware_square import BatchAwareSquare
from kmr_cli.layers.dynamic_batch_index_generator import DynamicBatchIndexGenerator
from kmr_cli.layers.geospatial_score_ranking import GeospatialScoreRanking
from kmr_cli.layers.masked_average import MaskedAverage
from kmr_cli.layers.spatial_feature_clustering import SpatialFeatureClustering
from kmr_cli.layers.tensor_dimension_expander import TensorDimensionExpander
from kmr_cli.layers.threshold_based_masking import ThresholdBasedMasking
from kmr_cli.layers.top_k_recommendation_selector import TopKRecommendationSelector
from kmr_cli.layers.weighted_sum import WeightedSum

__all__ = [
    "BatchAwareSquare",
    "DynamicBatchIndexGenerator",
    "GeospatialScoreRanking",
    "MaskedAverage",
    "SpatialFeatureClustering",
    "TensorDimensionExpander",
    "ThresholdBasedMasking",
    "TopKRecommendationSelector",
    "WeightedSum",
]
