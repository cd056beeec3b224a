"""What the servers of these tests share: mounting by FUSE (linux/fuse.h) without a library, and an end in every case."""
import ctypes, os, signal, struct, sys

MNT_FORCE = 1
UMOUNT_DETACH = 2
# struct fuse_init_out: version 7.31, then limits
INIT_ANSWER = struct.pack("IIIIHHIIHHI7I", 7, 31, 1 << 17, 0, 16, 12, 1 << 17, 1, 32, 0, 0, *[0] * 7)

libc = ctypes.CDLL(None, use_errno=True)


def mount(folder, name):
    """The descriptor by which the kernel asks."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    if libc.mount(name.encode(), folder.encode(), b"fuse", 0, options.encode()) != 0:
        sys.exit(f"FUSE can't be mounted: {os.strerror(ctypes.get_errno())}")
    return device


def stay_until_end(folder):
    """Says "ready"; ends when standard input does, or by itself after half a minute."""

    def end(*_):
        libc.umount2(folder.encode(), MNT_FORCE | UMOUNT_DETACH)
        os._exit(0)

    signal.signal(signal.SIGALRM, end)
    signal.alarm(30)
    print("ready", flush=True)
    sys.stdin.read()
    end()
