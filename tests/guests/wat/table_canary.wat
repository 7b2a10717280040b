;; Looks through a fresh table for elements that an earlier call left, then fills it.
;; Answers how many it found: 0, or 1 for any.
(module
  (memory (export "memory") 1)
  (table $table 4000 8000 funcref)
  (elem declare func $mark)
  ;; result<output, tool-error>: ok at 0; at 8 the structured text, its address and length.
  (data (i32.const 8) "\01\00\00\00" "\00\04\00\00" "\01\00\00\00")
  (data (i32.const 1024) "0")
  (func $mark)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "soma:capsule/tools@0.1.0#describe") (result i32) (i32.const 2048))
  (func (export "soma:capsule/tools@0.1.0#call") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (drop (table.grow $table (ref.null func) (i32.const 4000)))
    (loop $next
      (if (i32.eqz (ref.is_null (table.get $table (local.get $at))))
        (then (i32.store8 (i32.const 1024) (i32.const 49))))
      (table.set $table (local.get $at) (ref.func $mark))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $at) (table.size $table))))
    (i32.const 0)))
