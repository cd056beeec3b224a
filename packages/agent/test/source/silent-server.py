"""A file system whose server answers nothing but that it is there: whoever asks it for more waits.

    silent-server.py FOLDER     "ready" once it is mounted; ends when standard input does, or by itself after half a minute
"""
import os, struct, sys
import fuse_mount

folder = sys.argv[1]
device = fuse_mount.mount(folder, "silent")
_length, _operation, request = struct.unpack_from("IIQ", os.read(device, 1 << 20))
answer = fuse_mount.INIT_ANSWER
os.write(device, struct.pack("IiQ", 16 + len(answer), 0, request) + answer)
fuse_mount.stay_until_end(folder)
