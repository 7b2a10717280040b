;; Answers with a list of 10,000 texts that are all the same 16 MiB: small for the guest, 160 GiB
;; for a host that copies first and counts later.
(module
  (memory (export "memory") 256)
  ;; result<output, tool-error>: ok at 0, no structured text at 8; at 20 the list's address and
  ;; length. An item is 36 bytes: 0 for a text, its address, its length, nothing else.
  (data (i32.const 20) "\00\10\00\00" "\10\27\00\00")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "soma:capsule/tools@0.1.0#describe") (result i32) (i32.const 64))
  (func (export "soma:capsule/tools@0.1.0#call") (param i32 i32 i32 i32) (result i32)
    (local $left i32) (local $at i32)
    (local.set $left (i32.const 10000))
    (local.set $at (i32.const 4096))
    (loop $next
      (i32.store offset=8 (local.get $at) (i32.const 0x1000000))
      (local.set $at (i32.add (local.get $at) (i32.const 36)))
      (br_if $next (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0)))
