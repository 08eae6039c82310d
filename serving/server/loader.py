"""Loads a version, and says when to try again where that failed."""

import dataclasses
import logging
import time
from collections.abc import Callable

import grpc

from serving.server.errors import ServingError
from serving.server.model_config import ModelConfig
from serving.server.session import LoadedModel
from serving.server.version_state import State, Version

_log = logging.getLogger(__name__)

Load = Callable[[ModelConfig, int], LoadedModel]


@dataclasses.dataclass(frozen=True, slots=True)
class Retries:
    """How often a version that did not load is tried again.

    Attributes:
        count: After the first time.
        seconds: Between two times.
    """

    count: int = 0
    seconds: float = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Loader:
    """Makes versions ready to answer.

    Attributes:
        load: Does it; anything it raises fails that version alone.
        retries: Of versions that failed.
    """

    load: Load
    retries: Retries

    def attempt(self, config: ModelConfig, number: int, left: int) -> Version:
        """Tries to load a version.

        Args:
            config: Its model.
            number: The version.
            left: How often it may be tried again.

        Returns:
            An AVAILABLE version; or one with its error, LOADING while it is to be
            tried again and at its END after that.
        """
        try:
            model = self.load(config, number)
        except ServingError as error:
            _log.error(
                "could not load %s version %d: %s", config.name, number, error.text
            )
            return self._failed(config, number, left, error)
        except Exception as error:  # one bad version must not hold up the others
            _log.exception("could not load %s version %d", config.name, number)
            text = f"loading failed with {type(error).__name__}, see the server's log"
            failure = ServingError(grpc.StatusCode.INTERNAL, text)
            return self._failed(config, number, left, failure)
        _log.info("serving %s version %d", config.name, number)
        return Version(number, State.AVAILABLE, config.base_path, model)

    def _failed(
        self, config: ModelConfig, number: int, left: int, error: ServingError
    ) -> Version:
        if left <= 0:
            return Version(number, State.END, config.base_path, error=error)
        wait = self.retries.seconds
        _log.info(
            "%s version %d is tried again in %g s, at most %d times",
            *(config.name, number, wait, left),
        )
        return Version(
            number,
            State.LOADING,
            config.base_path,
            error=error,
            retries=left,
            retry_at=time.monotonic() + wait,
        )
