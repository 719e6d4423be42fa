# Where each core begins, and where an interrupt brings it.

    .section .text.start
    .globl _start
_start:
    csrr a0, mhartid
    # A stack of 16 KiB for each.
    la sp, _stacks
    addi t0, a0, 1
    slli t0, t0, 14
    add sp, sp, t0
    la t0, trap_entry
    csrw mtvec, t0
    bnez a0, 3f
    # The first core clears the static variables.
    la t0, _bss_start
    la t1, _bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  la t0, is_clear
    li t1, 1
    fence
    sw t1, 0(t0)
    j 4f
    # The others wait for that.
3:  la t0, is_clear
    lw t1, 0(t0)
    beqz t1, 3b
    fence
4:  call kernel_main

    .section .text
    .balign 4
trap_entry:
    addi sp, sp, -64
    sw ra, 0(sp)
    sw t0, 4(sp)
    sw t1, 8(sp)
    sw t2, 12(sp)
    sw t3, 16(sp)
    sw t4, 20(sp)
    sw t5, 24(sp)
    sw t6, 28(sp)
    sw a0, 32(sp)
    sw a1, 36(sp)
    sw a2, 40(sp)
    sw a3, 44(sp)
    sw a4, 48(sp)
    sw a5, 52(sp)
    sw a6, 56(sp)
    sw a7, 60(sp)
    csrr a0, mcause
    csrr a1, mepc
    call trap
    lw ra, 0(sp)
    lw t0, 4(sp)
    lw t1, 8(sp)
    lw t2, 12(sp)
    lw t3, 16(sp)
    lw t4, 20(sp)
    lw t5, 24(sp)
    lw t6, 28(sp)
    lw a0, 32(sp)
    lw a1, 36(sp)
    lw a2, 40(sp)
    lw a3, 44(sp)
    lw a4, 48(sp)
    lw a5, 52(sp)
    lw a6, 56(sp)
    lw a7, 60(sp)
    addi sp, sp, 64
    mret

    .section .data
    .balign 4
is_clear:
    .word 0
