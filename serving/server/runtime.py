"""How this server's models are computed: threads, tags, batching."""

from pathlib import Path
from typing import Final

from tensorflow.core.protobuf import config_pb2

from serving.server.batching.parameters import BatchingParameters
from serving.server.batching.queue import Batching, Observer
from serving.server.batching.scheduler import Scheduler
from serving.server.config import ServerConfig
from serving.server.config_files import read_batching
from serving.server.errors import WrongConfigError, invalid
from serving.server.session import Runtime

_OWN_PARAMETERS: Final = "batching_params.pbtxt"


class Runtimes:
    """Gives each version its runtime; all share the slots of one scheduler."""

    def __init__(
        self,
        config: ServerConfig,
        batching: BatchingParameters | None,
        observer: Observer | None,
    ) -> None:
        both = config.tensorflow_session_parallelism
        self._options = config_pb2.ConfigProto(
            intra_op_parallelism_threads=both or config.tensorflow_intra_op_parallelism,
            inter_op_parallelism_threads=both or config.tensorflow_inter_op_parallelism,
        )
        self._tags = tuple(config.saved_model_tags.split(","))
        self._own = config.enable_per_model_batching_parameters
        self._batching = batching
        self._observer = observer
        self._scheduler = Scheduler(batching.num_batch_threads) if batching else None

    def of(self, path: Path) -> Runtime:
        """Returns the runtime of the version in a folder.

        Raises:
            ServingError: Its own batching parameters cannot be used.
        """
        parameters = self._parameters(path)
        if parameters is None or self._scheduler is None:
            return Runtime(self._options, self._tags)
        batching = Batching(self._scheduler, parameters, self._observer)
        return Runtime(self._options, self._tags, batching.queue)

    def _parameters(self, path: Path) -> BatchingParameters | None:
        if self._batching is None or not self._own:
            return self._batching
        file = path / _OWN_PARAMETERS
        if not file.is_file():
            return None  # TF Serving does not batch such a version either
        try:
            return read_batching(file)
        except WrongConfigError as error:
            raise invalid(str(error)) from None
