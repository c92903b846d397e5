# SPDX-License-Identifier: Apache-2.0
"""The one module that uses python-iptables: tables read, edited in memory, committed as a whole.

python-iptables is used for what it loads, the ``libip4tc`` and ``libip6tc`` libraries, and their
calls init, edit, commit and free. Its own Rule, Match and Target objects cost 150 times more per
rule, are not thread-safe, get IPv6 masks wrong and may end the process.

A handle belongs to one thread, and to one transaction: after a commit it is stale.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import cache
from typing import Any, Final, NoReturn

from dataplane.errors import (
    ChainInUseError,
    CommitRefusedError,
    ConflictError,
    KernelError,
    KernelUnusableError,
)
from dataplane.kernel.canonical import canonical, target_name
from dataplane.kernel.layout import COUNTERS, COUNTERS_SIZE, ENTRY_LAYOUTS, Counters
from rules.ir import BUILT_IN_CHAINS, Family, TableName

_log = logging.getLogger(__name__)

_REFUSALS: Final = frozenset(
    {errno.ENOENT, errno.EINVAL, errno.ELOOP, errno.EPROTOTYPE, errno.EOPNOTSUPP, errno.ERANGE}
)
_ADVICE: Final = {
    errno.EPERM: "run it as root, or with the capabilities NET_ADMIN and NET_RAW",
    errno.ENOPROTOOPT: "this kernel has no legacy xtables (CONFIG_IP_NF_IPTABLES_LEGACY); "
    "load the modules ip_tables and ip6_tables, or use a kernel that has them",
    errno.ENOENT: "this kernel lacks the table; load the modules iptable_nat, iptable_filter, "
    "ip6table_nat and ip6table_filter",
}


class ForeignTable(Enum):
    """A table that is looked at though nothing of ours stands in it."""

    MANGLE = "mangle"


AnyTable = TableName | ForeignTable

_MANGLE_CHAINS: Final = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


class _Library:
    """Typed calls into one family's library.

    Calls that enter the kernel release Python's global lock, edits in memory keep it: they are
    shorter than handing it over would be.
    """

    def __init__(self, family: Family, loaded: ctypes.CDLL) -> None:
        prefix = "iptc" if family is Family.IPV4 else "ip6tc"
        path, handle = loaded._name, loaded._handle  # noqa: SLF001 - ctypes has no public names
        released = ctypes.CDLL(path, handle=handle, use_errno=True)
        kept = ctypes.PyDLL(path, handle=handle, use_errno=True)
        text, pointer, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint

        def bind(
            library: ctypes.CDLL, name: str, result: type | None, *arguments: type
        ) -> Callable[..., Any]:
            function = library[f"{prefix}_{name}"]
            function.restype = result
            function.argtypes = arguments
            return function

        self.init = bind(released, "init", pointer, text)
        self.commit = bind(released, "commit", ctypes.c_int, pointer)
        self.free = bind(released, "free", None, pointer)
        self.first_chain = bind(kept, "first_chain", text, pointer)
        self.next_chain = bind(kept, "next_chain", text, pointer)
        self.is_chain = bind(kept, "is_chain", ctypes.c_int, text, pointer)
        self.create_chain = bind(kept, "create_chain", ctypes.c_int, text, pointer)
        self.delete_chain = bind(kept, "delete_chain", ctypes.c_int, text, pointer)
        self.flush_entries = bind(kept, "flush_entries", ctypes.c_int, text, pointer)
        self.first_rule = bind(kept, "first_rule", pointer, text, pointer)
        self.next_rule = bind(kept, "next_rule", pointer, pointer, pointer)
        self.get_target = bind(kept, "get_target", text, pointer, pointer)
        self.append_entry = bind(kept, "append_entry", ctypes.c_int, text, text, pointer)
        self.insert_entry = bind(kept, "insert_entry", ctypes.c_int, text, text, number, pointer)
        self.delete_entry = bind(kept, "delete_num_entry", ctypes.c_int, text, number, pointer)
        self.set_counter = bind(kept, "set_counter", ctypes.c_int, text, number, text, pointer)
        self.get_policy = bind(kept, "get_policy", text, text, pointer, pointer)
        self.set_policy = bind(kept, "set_policy", ctypes.c_int, text, text, pointer, pointer)


class TableHandle:
    """One table as it was when opened, with edits that :meth:`commit` makes true at once.

    Entries are given as :mod:`dataplane.kernel.encode` makes them and returned in the same form.
    Every method raises :class:`KernelError` for an edit that makes no sense, such as one to a chain
    that does not exist.
    """

    def __init__(self, family: Family, table: AnyTable) -> None:
        """Read the table.

        Raises:
            KernelUnusableError: no such table here, no legacy xtables, or no privilege.
        """
        self._family = family
        self._table = table
        self._library = _library(family)
        self._next_offset = ENTRY_LAYOUTS[family].next_offset_offset
        self._handle: int | None = self._library.init(table.value.encode())
        if not self._handle:
            number = ctypes.get_errno()
            raise KernelUnusableError(
                f"cannot read the {family.value} table {table.value}: {os.strerror(number)}"
                + (f"; {_ADVICE[number]}" if number in _ADVICE else "")
            )

    def chains(self) -> list[str]:
        """The names of all chains."""
        library = self._library
        found = []
        name = library.first_chain(self._handle)
        while name is not None:
            found.append(name.decode())
            name = library.next_chain(self._handle)
        return found

    def has_chain(self, chain: str) -> bool:
        """Whether there is a chain of that name."""
        return bool(self._library.is_chain(chain.encode(), self._handle))

    def policy(self, chain: str) -> str:
        """What becomes of a packet at the end of a built-in chain: ACCEPT or DROP."""
        counters = ctypes.create_string_buffer(COUNTERS_SIZE)
        policy: bytes | None = self._library.get_policy(chain.encode(), counters, self._handle)
        if policy is None:
            self._fail("read the policy of", chain)
        return policy.decode()

    def entries(self, chain: str) -> list[bytes]:
        """The entries of a chain, in canonical form."""
        library, handle, family = self._library, self._handle, self._family
        start = self._next_offset
        found = []
        pointer = library.first_rule(chain.encode(), handle)
        while pointer is not None:
            size = int.from_bytes(ctypes.string_at(pointer + start, 2), sys.byteorder)
            jump = library.get_target(pointer, handle)
            found.append(canonical(ctypes.string_at(pointer, size), jump, family))
            pointer = library.next_rule(pointer, handle)
        return found

    def target_of(self, entry: bytes) -> str:
        """Where an entry leads: a chain, a verdict, or the name of its target."""
        return target_name(entry, self._family)

    def count(self, chain: str) -> int:
        """How many entries a chain has."""
        library, handle = self._library, self._handle
        number = 0
        pointer = library.first_rule(chain.encode(), handle)
        while pointer is not None:
            number += 1
            pointer = library.next_rule(pointer, handle)
        return number

    def counters(self, chain: str) -> list[Counters]:
        """What the entries of a chain had counted when the table was read."""
        library, handle = self._library, self._handle
        start = ENTRY_LAYOUTS[self._family].counters_offset
        found = []
        pointer = library.first_rule(chain.encode(), handle)
        while pointer is not None:
            found.append(
                Counters(*COUNTERS.unpack(ctypes.string_at(pointer + start, COUNTERS_SIZE)))
            )
            pointer = library.next_rule(pointer, handle)
        return found

    def set_counters(self, chain: str, position: int, counters: Counters) -> None:
        """Let the entry at ``position``, counted from 0, begin with ``counters``."""
        # libiptc counts from 1 here, unlike where it inserts and deletes.
        number, values = position + 1, COUNTERS.pack(*counters)
        if not self._library.set_counter(chain.encode(), number, values, self._handle):
            self._fail("set counters in", chain)

    def create_chain(self, chain: str) -> None:
        """Add an empty chain."""
        if not self._library.create_chain(chain.encode(), self._handle):
            self._fail("create", chain)

    def delete_chain(self, chain: str) -> None:
        """Remove an empty chain.

        Raises:
            ChainInUseError: a rule still jumps to it.
        """
        if not self._library.delete_chain(chain.encode(), self._handle):
            if ctypes.get_errno() == errno.EMLINK:
                raise ChainInUseError(
                    f"chain {chain} of the {self._family.value} table {self._table.value} cannot "
                    "be deleted: a rule that is not ours still jumps to it; delete that rule"
                )
            self._fail("delete", chain)

    def flush_chain(self, chain: str) -> None:
        """Remove all entries of a chain."""
        if not self._library.flush_entries(chain.encode(), self._handle):
            self._fail("flush", chain)

    def append(self, chain: str, entries: Iterable[bytes]) -> None:
        """Add entries at the end of a chain."""
        append_entry, handle, name = self._library.append_entry, self._handle, chain.encode()
        for entry in entries:
            if not append_entry(name, entry, handle):
                self._fail("append to", chain)

    def insert(self, chain: str, position: int, entry: bytes) -> None:
        """Add an entry before the one at ``position``, counted from 0."""
        if not self._library.insert_entry(chain.encode(), entry, position, self._handle):
            self._fail("insert into", chain)

    def delete(self, chain: str, position: int) -> None:
        """Remove the entry at ``position``, counted from 0."""
        if not self._library.delete_entry(chain.encode(), position, self._handle):
            self._fail("delete from", chain)

    def commit(self) -> None:
        """Make all edits true at once. The handle is of no use afterwards.

        Raises:
            ConflictError: somebody changed the table since it was read; nothing was changed.
            CommitRefusedError: a rule is not acceptable to the kernel; nothing was changed.
        """
        self._keep_policy_counters()
        if self._library.commit(self._handle):
            return
        number = ctypes.get_errno()
        what = f"commit of the {self._family.value} table {self._table.value}"
        if number == errno.EAGAIN:
            raise ConflictError(f"{what}: it was changed by somebody who ignores the xtables lock")
        if number in _REFUSALS:
            raise CommitRefusedError(
                f"{what} was refused: {os.strerror(number)}; the kernel log may say why", number
            )
        raise KernelError(f"{what} failed: {os.strerror(number)}; the table is as it was")

    def close(self) -> None:
        """Free what was read."""
        if self._handle:
            self._library.free(self._handle)
            self._handle = None

    def _keep_policy_counters(self) -> None:
        """Set the policies' counters to what was read: libiptc takes only those of rules along."""
        library, handle = self._library, self._handle
        counters = ctypes.create_string_buffer(COUNTERS_SIZE)
        table = self._table
        built_in = _MANGLE_CHAINS if isinstance(table, ForeignTable) else BUILT_IN_CHAINS[table]
        for chain in built_in:
            name = chain.encode()
            policy = library.get_policy(name, counters, handle)
            if policy is None or not library.set_policy(name, policy, counters, handle):
                self._fail("keep the policy of", chain)

    def _fail(self, action: str, chain: str) -> NoReturn:
        raise KernelError(
            f"cannot {action} chain {chain} of the {self._family.value} table "
            f"{self._table.value}: {os.strerror(ctypes.get_errno())}"
        )


@contextmanager
def open_table(family: Family, table: AnyTable) -> Iterator[TableHandle]:
    """A handle for one transaction, freed at the end.

    Raises:
        KernelUnusableError: see :class:`TableHandle`.
    """
    handle = TableHandle(family, table)
    try:
        yield handle
    finally:
        handle.close()


@cache
def _library(family: Family) -> _Library:
    """Load python-iptables, which loads the libraries of both families.

    Raises:
        KernelUnusableError: a library is missing.
    """
    try:
        with _helped_import():
            from iptc import (  # noqa: PLC0415 - loads libraries and modules: only if used
                ip4tc,
                ip6tc,
            )
    except Exception as error:
        # It raises whatever its ctypes calls trip over: AttributeError, TypeError, OSError...
        raise KernelUnusableError(
            f"python-iptables cannot be loaded ({type(error).__name__}: {error}); it needs the "
            "libraries libip4tc2, libip6tc2 and libxtables12, installed and readable"
        ) from error
    loaded = ip4tc._libiptc if family is Family.IPV4 else ip6tc._libiptc  # noqa: SLF001 - its handle
    return _Library(family, loaded)


@contextmanager
def _helped_import() -> Iterator[None]:
    """Let python-iptables find what it needs, and find it quickly.

    From the environment it reads the folder of iptables' extensions, and fails without one, though
    nothing here needs it; and folders with libraries, without which it runs a compiler several
    times to find the one that it was installed with. Left in the environment the former would break
    every child ``iptables``. It asks distutils where packages are if there is one, else sysconfig:
    setuptools, where it is installed, offers one that takes half a second to load.
    """
    added = {
        variable: value
        for variable, value in {
            "XTABLES_LIBDIR": "/nonexistent",
            "IPTABLES_LIBDIR": sysconfig.get_path("platlib"),
        }.items()
        if variable not in os.environ
    }
    is_hidden = "distutils" not in sys.modules
    os.environ.update(added)
    if is_hidden:
        # What Python itself knows as "there is no such module".
        sys.modules["distutils"] = None  # type: ignore[assignment] # typeshed has modules only
    try:
        yield
    finally:
        for variable in added:
            del os.environ[variable]
        if is_hidden:
            del sys.modules["distutils"]


def usable_families() -> tuple[Family, ...]:
    """The families whose nat and filter tables this process can program here.

    Raises:
        KernelUnusableError: there is none; the reason given is IPv4's.
    """
    usable = []
    problems = []
    for family in Family:
        try:
            for table in TableName:
                with open_table(family, table):
                    pass
        except KernelUnusableError as error:
            problems.append(error)
        else:
            usable.append(family)
    if not usable:
        raise problems[0]
    for problem in problems:
        _log.warning("%s; this family is left alone", problem)
    return tuple(usable)
