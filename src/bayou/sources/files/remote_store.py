"""The first contact with a store on another machine: it answers soon, or an error says why.

Clients of stores try again for minutes if they lack credentials or a network. A call that takes
longer than some seconds is given up here.
"""

from __future__ import annotations

from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

from bayou.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

# A store answers in some hundred milliseconds. S3 takes six seconds to find that there is no
# network (measured on 2 cores).
CONTACT_SECONDS = 20.0
# Of the text of an error, which may be pages.
MAX_REASON = 300


def reach[T](where: object, call: Callable[[], T], seconds: float = CONTACT_SECONDS) -> T:
    """Return what a call to a store returns.

    Parameters
    ----------
    where : object
        The path or URL, for the error.
    call : callable
        Asks the store for something.
    seconds : float, default 20
        The time after which the call is given up. It ends in a thread of its own.

    Raises
    ------
    FileNotFoundError, ImportError, TypeError, ValueError
        As the call raises them.
    SourceError
        If the call raises anything else, or takes too long.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        # Each client has errors of its own.
        except Exception as error:
            future.set_exception(error)

    # A daemon, so that a call that hangs does not keep the process from ending.
    Thread(target=run, daemon=True, name="bayou-contact").start()
    try:
        return future.result(timeout=seconds)
    except (FileNotFoundError, ImportError, TypeError, ValueError, SourceError):
        raise
    except TimeoutError as error:
        reason = str(error) if future.done() else f"no answer within {seconds:g} seconds"
        raise _unreachable(where, reason) from None
    except Exception as error:
        raise _unreachable(where, str(error) or type(error).__name__) from error


def _unreachable(where: object, reason: str) -> SourceError:
    text = " ".join(reason.split()).partition(". ")[0]
    text = text if len(text) <= MAX_REASON else f"{text[:MAX_REASON]}..."
    return SourceError(
        f"`what` must be in a store that can be reached, got {str(where)!r}: {text.rstrip(' .')}.\n"
        "Hint: check the network, the address and the credentials, or pass a `filesystem` that has "
        "them, such as pyarrow.fs.S3FileSystem(anonymous=True) for a public bucket."
    )
