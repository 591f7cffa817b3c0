# SPDX-License-Identifier: ISC
# The files that the tests boot, kept in CACHE and made anew when something that they are made of is
# newer. Called by tests/xen/run, which sets:
#   HERE (tests/xen), CACHE, BALLASTD, BALLAST, BALLAST_GUEST, INIT_SCRIPT, SCRIPTS
# The programs here are compiled with flags of their own: PID 1 of a guest without a C library
# cannot use the project's sanitizers.

CFLAGS = -std=gnu11 -O2 -Wall -Wextra -Werror
# The newest plain one: a kernel for clouds cannot be dom0's.
KERNEL := $(shell ls /boot/vmlinuz-*[0-9]-amd64 | sort -V | tail -n 1)
export MODULES = $(KERNEL:/boot/vmlinuz-%=/lib/modules/%/kernel)
XEN = /boot/xen-4.17-amd64.gz
PACK = $(HERE)/pack
TOOLS = $(wildcard /usr/lib/xen-4.17/bin/xl /bin/busybox)

.DELETE_ON_ERROR:

all: $(CACHE)/xen $(CACHE)/kernel $(CACHE)/dom0.lz4

$(CACHE)/xen: $(XEN)
	zcat $< >$@

$(CACHE)/kernel: $(KERNEL) $(HERE)/kernel-elf.py
	python3 $(HERE)/kernel-elf.py $< $@

$(CACHE)/observer: $(HERE)/observer.c
	$(CC) $(CFLAGS) -o $@ $< -lxenctrl

$(CACHE)/leave: $(HERE)/leave.c
	$(CC) $(CFLAGS) -static -s -o $@ $<

$(CACHE)/same-domid.so: $(HERE)/same-domid.c
	$(CC) $(CFLAGS) -shared -fPIC -o $@ $<

$(CACHE)/guest-init: $(addprefix $(HERE)/,guest-init.c attacks.c store.c attacks.h store.h)
	$(CC) $(CFLAGS) -static -s -o $@ $(filter %.c,$^)

$(CACHE)/guest.cpio: $(CACHE)/guest-init $(BALLAST_GUEST) $(KERNEL) $(PACK)
	$(PACK) guest $@ $(CACHE)/guest-init $(BALLAST_GUEST)

$(CACHE)/system.cpio: $(CACHE)/observer $(CACHE)/leave $(CACHE)/same-domid.so $(TOOLS) $(KERNEL) $(PACK) \
		$(HERE)/dom0-init $(HERE)/block-script
	$(PACK) system $@ $(CACHE)/observer $(CACHE)/leave $(CACHE)/same-domid.so

$(CACHE)/ballast.cpio: $(BALLASTD) $(BALLAST) $(INIT_SCRIPT) $(PACK)
	$(PACK) ballast $@ $(BALLASTD) $(BALLAST) $(INIT_SCRIPT)

$(CACHE)/test.cpio: $(CACHE)/kernel $(CACHE)/guest.cpio $(SCRIPTS) $(HERE)/lib.sh $(PACK)
	$(PACK) test $@ $(CACHE)/kernel $(CACHE)/guest.cpio $(HERE)/lib.sh $(SCRIPTS)

# The kernel unpacks archives one behind the other into one root. Of the formats that it knows, this
# one is the quickest to unpack under emulation.
$(CACHE)/dom0.lz4: $(CACHE)/system.cpio $(CACHE)/ballast.cpio $(CACHE)/test.cpio
	cat $^ | lz4 -l -1 -c >$@
