"""A file system in which every name is a file, and that knows no extended attributes.

    attributeless-server.py FOLDER     "ready" once it is mounted; ends when standard input does, or by itself after half a minute
"""
import ctypes, os, signal, struct, sys, threading

MNT_FORCE = 1
UMOUNT_DETACH = 2
LOOKUP, FORGET, GETATTR, INIT, BATCH_FORGET = 1, 2, 3, 26, 42
ENOSYS = 38

folder = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
if libc.mount(b"attributeless", folder.encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit(f"FUSE can't be mounted: {os.strerror(ctypes.get_errno())}")


def attributes(inode):
    """struct fuse_attr (linux/fuse.h): numbers and times, then mode, links and the rest"""
    mode = 0o040755 if inode == 1 else 0o100644
    return struct.pack("6Q10I", inode, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation, node):
    if operation == INIT:
        return struct.pack("IIIIHHIIHHI7I", 7, 31, 1 << 17, 0, 16, 12, 1 << 17, 1, 32, 0, 0, *[0] * 7)
    if operation == LOOKUP:
        return struct.pack("4QII", 2, 0, 0, 0, 0, 0) + attributes(2)
    if operation == GETATTR:
        return struct.pack("QII", 0, 0, 0) + attributes(node)
    return None


def serve():
    while True:
        try:
            _length, operation, request, node = struct.unpack_from("IIQQ", os.read(device, 1 << 20))
        except OSError:
            return  # unmounted
        if operation in (FORGET, BATCH_FORGET):
            continue
        said = answer(operation, node)
        error = 0 if said is not None else -ENOSYS
        os.write(device, struct.pack("IiQ", 16 + len(said or b""), error, request) + (said or b""))


def end(*_):
    libc.umount2(folder.encode(), MNT_FORCE | UMOUNT_DETACH)
    os._exit(0)


threading.Thread(target=serve, daemon=True).start()
signal.signal(signal.SIGALRM, end)
signal.alarm(30)
print("ready", flush=True)
sys.stdin.read()
end()
