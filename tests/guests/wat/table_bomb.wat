;; Grows its table until it gets no more, then traps.
(module
  (memory (export "memory") 1)
  (table $hoard 0 funcref)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
  (func (export "soma:capsule/tools@0.1.0#describe") (result i32) (i32.const 0))
  (func (export "soma:capsule/tools@0.1.0#call") (param i32 i32 i32 i32) (result i32)
    (loop $more
      (br_if $more
        (i32.ne (table.grow $hoard (ref.null func) (i32.const 1000)) (i32.const -1))))
    unreachable))
