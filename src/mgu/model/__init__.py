"""A trained network as a folder: made from one's own data, read again, and asked."""

from mgu.model.answering import Predictions, predictions
from mgu.model.fitting import NotTrainedError, fit_model
from mgu.model.folder import Model, check_free, read_model

__all__ = ["Model", "NotTrainedError", "Predictions", "check_free", "fit_model", "predictions", "read_model"]
