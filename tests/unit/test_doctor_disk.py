"""What speaks against a disk, decided without one."""

from dataclasses import replace

import pytest

from mirror.doctor.disk import TIGHT, Disk, concerns, find_kind, is_network

DISK = Disk(free=10 * TIGHT, inodes=1000, kind="ext4", seconds=0.01)

MOUNTS = """\
22 28 0:21 / /proc rw,nosuid - proc proc rw
28 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 28 0:35 / /mnt/frames rw - nfs4 server:/frames rw,vers=4.2
41 28 0:36 / /mnt/frames-local rw - xfs /dev/sdb1 rw
42 40 0:37 / /mnt/frames/with\\040space rw - cifs //server/share rw
43 41 0:38 / /mnt/frames-local rw - btrfs /dev/sdc1 rw
not a mount line
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/me", "ext4"),
        ("/mnt/frames", "nfs4"),
        ("/mnt/frames/a/b", "nfs4"),
        ("/mnt/frames/with space/c", "cifs"),
        ("/mnt/frames-local/x", "btrfs"),
        ("/mnt/frames-other", "ext4"),
    ],
)
def test_the_deepest_and_last_mount_decides(path: str, kind: str) -> None:
    assert find_kind(MOUNTS, path) == kind


def test_no_mount_is_no_kind() -> None:
    assert find_kind("", "/x") is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "ceph", "fuse.sshfs", "9p"])
def test_network_file_systems_are_warned_of(kind: str) -> None:
    assert is_network(kind)
    assert any("network" in concern for concern in concerns(replace(DISK, kind=kind), None))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "fuseblk"])
def test_a_local_disk_with_room_raises_no_concern(kind: str) -> None:
    assert not is_network(kind)
    assert list(concerns(replace(DISK, kind=kind), None)) == []


@pytest.mark.parametrize(
    ("disk", "needed", "word"),
    [
        (replace(DISK, free=TIGHT - 1), None, "make sure"),
        (DISK, 11 * TIGHT, "make room"),
        (replace(DISK, inodes=0), None, "inodes"),
        (replace(DISK, kind="tmpfs"), None, "memory"),
        (replace(DISK, kind="overlay"), None, "volume"),
    ],
)
def test_each_concern_says_what_to_do(disk: Disk, needed: int | None, word: str) -> None:
    (concern,) = concerns(disk, needed)
    assert word in concern


def test_little_room_is_enough_for_few_frames() -> None:
    assert list(concerns(replace(DISK, free=1000, inodes=None), 999)) == []
