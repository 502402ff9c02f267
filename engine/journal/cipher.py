"""Encryption at rest: the store library's own cipher (AES in Galois/Counter Mode) around what a journal keeps.

Digests, seals and checkpoints' names are over the plain text, so that an encrypted and a plain journal of the same run
have equal digests. What is hidden are the events' bodies and the blobs; the names of runs, the topics of events, how
many there are, digests and notes (wall clock, host) stay readable.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final, Protocol

from engine.journal.errors import KeyRefused, UnknownStore

if TYPE_CHECKING:
    from eventsourcing.cipher import AESCipher

    from engine.journal.store import RunStore

KEY_BYTES: Final = 32
"""Of a new key: AES-256."""

_OF_THE_JOURNAL: Final = ""
"""No run is called so: under this name a journal keeps a note about itself."""
_MARK: Final = "encryption"
_WITNESS: Final = b"a regrow journal, encrypted with this very key"


class Cipher(Protocol):
    """Keeps bytes from whoever lacks the key, and notices a change of any of them."""

    def encrypt(self, plaintext: bytes) -> bytes:
        """Other bytes every time."""
        ...

    def decrypt(self, ciphertext: bytes) -> bytes:
        """What was encrypted. Raises ValueError under another key, or where a byte changed."""
        ...


def new_key() -> str:
    """A key that nobody had before, base64. Raises UnknownStore without the cipher's library."""
    return _aes().create_key(KEY_BYTES)


def cipher_of(key: str) -> Cipher:
    """The cipher of a base64 key of 16, 24 or 32 bytes. Raises KeyRefused, UnknownStore without its library."""
    from eventsourcing.utils import Environment

    aes = _aes()
    try:
        aes.check_key_size(len(b64decode(key, validate=True)))
    except ValueError:  # nothing of the key is told
        raise KeyRefused("the key is no base64 of 16, 24 or 32 bytes; `regrow new-key` makes one") from None
    return aes(Environment(env={aes.CIPHER_KEY: key}))


def _aes() -> type[AESCipher]:
    try:
        from eventsourcing.cipher import AESCipher
    except ImportError as error:
        raise UnknownStore("an encrypted journal needs pycryptodome: pip install 'regrow[encryption]'") from error
    return AESCipher


def agreed(store: RunStore, name: str, cipher: Cipher | None) -> Cipher | None:
    """``cipher`` itself, if the journal is one for it: encrypted with it, empty, or plain where there is none.

    An empty journal that is given a cipher is encrypted from then on. Raises KeyRefused, and then nothing was changed.
    """
    mark = store.select_notes(_OF_THE_JOURNAL).get(_MARK)
    if cipher is None:
        if mark is not None:
            raise KeyRefused(f"{name} is encrypted; put its key into REGROW_CIPHER_KEY")
        return None
    if mark is None:
        if store.select_runs():
            raise KeyRefused(
                f"{name} is not encrypted and holds runs already; take the key out of REGROW_CIPHER_KEY, "
                "or name a new journal to have one encrypted"
            )
        store.put_note(_OF_THE_JOURNAL, _MARK, b64encode(cipher.encrypt(_WITNESS)).decode())
        mark = store.select_notes(_OF_THE_JOURNAL)[_MARK]  # another process may have been faster, with another key
    if not _fits(cipher, mark):
        raise KeyRefused(f"{name} is encrypted with another key than the one in REGROW_CIPHER_KEY; give it that one")
    return cipher


def _fits(cipher: Cipher, mark: str) -> bool:
    try:
        return cipher.decrypt(b64decode(mark)) == _WITNESS
    except ValueError:
        return False
