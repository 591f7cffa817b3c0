#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""kernel-elf.py VMLINUZ OUT: takes the kernel out of a bzImage as an ELF file.

Xen and libxl can load a bzImage, but unpacking its XZ payload costs some 5 s per domain under
emulation. An ELF file is loaded as it is. It is made small too, for it lies in dom0's memory: only
what is loaded is kept (no sections, no symbols), without the zeros at the end of each segment.
"""
import lzma
import struct
import subprocess
import sys

PAGE = 4096
PT_LOAD = 1
PT_NOTE = 4
ELF_HEADER = 64
PROGRAM_HEADER = struct.Struct('<IIQQQQQQ')  # type flags offset vaddr paddr filesz memsz align


def payload_of(image):
    """The compressed kernel of a bzImage (Linux, Documentation/x86/boot.rst)."""
    setup_sectors = image[0x1f1]
    offset, length = struct.unpack_from('<II', image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return image[start:start + length]


def unpack(payload):
    if payload.startswith(b'\xfd7zXZ\0'):
        # The kernel's build appends four bytes (the size) that are not XZ.
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b'\x02\x21\x4c\x18'):
        return subprocess.run(['lz4', '-dc'], input=payload[:-4], stdout=subprocess.PIPE,
                              check=True).stdout
    sys.exit('kernel-elf.py: neither XZ nor LZ4 (begins with %s)' % payload[:6].hex())


def page_align(size):
    return (size + PAGE - 1) // PAGE * PAGE


def compact(elf):
    """The same program headers, with only the bytes of the loaded segments behind them."""
    table, = struct.unpack_from('<Q', elf, 32)
    entry_size, count = struct.unpack_from('<HH', elf, 54)
    old = [PROGRAM_HEADER.unpack_from(elf, table + i * entry_size) for i in range(count)]

    position = page_align(ELF_HEADER + count * PROGRAM_HEADER.size)
    moved = {}  # offset of a loaded segment: its new offset, its bytes
    for kind, _, offset, _, _, file_size, _, _ in old:
        if kind == PT_LOAD:
            data = elf[offset:offset + file_size].rstrip(b'\0')
            moved[offset] = position, data
            position += page_align(len(data))

    def place(header):
        kind, flags, offset, vaddr, paddr, file_size, mem_size, align = header
        if kind == PT_LOAD:
            offset, data = moved[offset]
            file_size = len(data)
        elif kind == PT_NOTE:
            # Xen's notes lie inside a loaded segment, and move with it.
            home = next(h[2] for h in old if h[0] == PT_LOAD and h[2] <= offset < h[2] + h[5])
            offset += moved[home][0] - home
        return PROGRAM_HEADER.pack(kind, flags, offset, vaddr, paddr, file_size, mem_size, align)

    header = bytearray(elf[:ELF_HEADER])
    struct.pack_into('<QQ', header, 32, ELF_HEADER, 0)  # program headers here, no sections
    struct.pack_into('<HHHHH', header, 54, PROGRAM_HEADER.size, count, 0, 0, 0)
    out = bytearray(position)
    out[:ELF_HEADER] = header
    headers = b''.join(place(h) for h in old)
    out[ELF_HEADER:ELF_HEADER + len(headers)] = headers
    for start, data in moved.values():
        out[start:start + len(data)] = data
    return out


def main():
    if len(sys.argv) != 3:
        sys.exit('usage: kernel-elf.py VMLINUZ OUT')
    with open(sys.argv[1], 'rb') as image:
        elf = unpack(payload_of(image.read()))
    with open(sys.argv[2], 'wb') as out:
        out.write(compact(elf))


main()
