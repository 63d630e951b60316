"""The system calls that an image process does not need, with their numbers.

Numbers: ``arch/x86/entry/syscalls/syscall_64.tbl`` and ``include/uapi/asm-generic/unistd.h`` (which aarch64 uses) of
Linux 6.10. From 424 on, both use the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

Machine = Literal["x86_64", "aarch64"]

LAST = 462
"""``mseal``, the last call that these tables cover; later ones are refused as unknown."""

_DENIED = """
socket 41 198 · socketpair 53 199 · connect 42 203 · bind 49 200 · listen 50 201 · accept 43 202 · accept4 288 242
sendto 44 206 · sendmsg 46 211 · sendmmsg 307 269 · recvfrom 45 207 · recvmmsg 299 243 · setsockopt 54 208
shutdown 48 210 · getsockopt 55 209

execve 59 221 · execveat 322 281 · fork 57 - · vfork 58 - · uselib 134 -

ptrace 101 117 · process_vm_readv 310 270 · process_vm_writev 311 271 · kcmp 312 272 · pidfd_open 434 434
pidfd_getfd 438 438 · pidfd_send_signal 424 424 · process_madvise 440 440 · process_mrelease 448 448 · tkill 200 130
rt_sigqueueinfo 129 138 · rt_tgsigqueueinfo 297 240 · sched_setscheduler 144 119 · sched_setparam 142 118
sched_setattr 314 274 · ioprio_set 251 30 · migrate_pages 256 238 · move_pages 279 239
setpgid 109 154 · setsid 112 157

shmget 29 194 · shmat 30 196 · shmctl 31 195 · semget 64 190 · semop 65 193 · semctl 66 191 · semtimedop 220 192
msgget 68 186 · msgsnd 69 189 · msgrcv 70 188 · msgctl 71 187 · mq_open 240 180 · mq_unlink 241 181
mq_timedsend 242 182 · mq_timedreceive 243 183 · mq_notify 244 184 · mq_getsetattr 245 185

creat 85 - · rename 82 - · renameat 264 38 · renameat2 316 276 · link 86 - · linkat 265 37 · symlink 88 -
symlinkat 266 36 · unlink 87 - · unlinkat 263 35 · mkdir 83 - · mkdirat 258 34 · rmdir 84 - · mknod 133 -
mknodat 259 33 · truncate 76 45 · chmod 90 - · fchmod 91 52 · fchmodat 268 53 · fchmodat2 452 452 · chown 92 -
fchown 93 55 · lchown 94 - · fchownat 260 54 · setxattr 188 5 · lsetxattr 189 6 · fsetxattr 190 7 · removexattr 197 14
lremovexattr 198 15 · fremovexattr 199 16 · utime 132 - · utimes 235 - · futimesat 261 - · utimensat 280 88
name_to_handle_at 303 264 · open_by_handle_at 304 265 · inotify_init 253 - · inotify_init1 294 26
inotify_add_watch 254 27 · fanotify_init 300 262 · fanotify_mark 301 263

ftruncate 77 46 · fallocate 285 47 · pwrite64 18 68 · pwritev 296 70 · pwritev2 328 287 · copy_file_range 326 285
splice 275 76 · sendfile 40 71 · memfd_create 319 279

mount 165 40 · umount2 166 39 · pivot_root 155 41 · chroot 161 51 · setns 308 268 · unshare 272 97
open_tree 428 428 · move_mount 429 429 · fsopen 430 430 · fsconfig 431 431 · fsmount 432 432 · fspick 433 433
mount_setattr 442 442 · statmount 457 457 · listmount 458 458 · bpf 321 280 · perf_event_open 298 241
userfaultfd 323 282 · keyctl 250 219 · add_key 248 217 · request_key 249 218 · io_uring_setup 425 425
io_uring_enter 426 426 · io_uring_register 427 427 · io_setup 206 0 · io_submit 209 2 · vmsplice 278 75
init_module 175 105 · finit_module 313 273 · delete_module 176 106 · kexec_load 246 104 · kexec_file_load 320 294
reboot 169 142 · swapon 167 224 · swapoff 168 225 · quotactl 179 60 · quotactl_fd 443 443 · acct 163 89
settimeofday 164 170 · clock_settime 227 112 · clock_adjtime 305 266 · adjtimex 159 171 · sethostname 170 161
setdomainname 171 162 · iopl 172 - · ioperm 173 - · modify_ldt 154 - · syslog 103 116 · vhangup 153 58
lookup_dcookie 212 18 · personality 135 92 · setuid 105 146 · setgid 106 144 · setreuid 113 145 · setregid 114 143
setresuid 117 147 · setresgid 119 149 · setgroups 116 159 · setfsuid 122 151 · setfsgid 123 152 · capset 126 91
memfd_secret 447 447 · lsm_set_self_attr 460 460
"""
"""Grouped by the resource they would access: the network, other programs, other processes, shared memory and queues,
files, the content of open files, the kernel."""

_LIMITED = """
clone 56 220 · clone3 435 435 · kill 62 129 · tgkill 234 131 · prlimit64 302 261 · setpriority 141 140
sched_setaffinity 203 122 · fcntl 72 25 · ioctl 16 29 · prctl 157 167 · open 2 - · openat 257 56 · openat2 437 437
"""
"""Calls that are needed with some arguments only."""


def denied(machine: Machine) -> list[int]:
    """Return the numbers of the calls that are never needed."""
    return [number for _, number in _numbers(_DENIED, machine)]


def limited(machine: Machine) -> Mapping[str, int]:
    """Return the numbers of the calls that are allowed with some arguments only."""
    return dict(_numbers(_LIMITED, machine))


def _numbers(table: str, machine: Machine) -> Iterator[tuple[str, int]]:
    for line in table.split("\n"):
        for row in filter(None, line.split(" · ")):
            name, x86_64, aarch64 = row.split()
            number = x86_64 if machine == "x86_64" else aarch64
            if number != "-":
                yield name, int(number)
