"""A file system in which every name is a file, and that knows no extended attributes.

    attributeless-server.py FOLDER     "ready" once it is mounted; ends when standard input does, or by itself after half a minute
"""
import os, struct, sys, threading
import fuse_mount

LOOKUP, FORGET, GETATTR, INIT, BATCH_FORGET = 1, 2, 3, 26, 42
ENOSYS = 38

folder = sys.argv[1]
device = fuse_mount.mount(folder, "attributeless")


def attributes(inode):
    """struct fuse_attr: numbers and times, then mode, links and the rest"""
    mode = 0o040755 if inode == 1 else 0o100644
    return struct.pack("6Q10I", inode, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation, node):
    if operation == INIT:
        return fuse_mount.INIT_ANSWER
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


threading.Thread(target=serve, daemon=True).start()
fuse_mount.stay_until_end(folder)
