;; Accepts every record: the control of the others.
(module
  (memory (export "memory") 64)
  ;; An arena behind the first 64 KiB, empty again after every call.
  (global $next (mut i32) (i32.const 65536))
  (func (export "cabi_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at))

  (func (export "sharemill:worker/record-handler@0.1.0#handle")
    (param $id i64) (param $topic i32) (param $topic-size i32) (param $partition i32) (param $offset i64)
    (param $timestamp i64) (param $timestamp-type i32) (param $delivery-count i32)
    (param $has-key i32) (param $key i32) (param $key-size i32)
    (param $has-value i32) (param $value i32) (param $value-size i32)
    (param $headers i32) (param $header-count i32) (result i32)
    (global.set $next (i32.const 65536))
    ;; The outcome at 1024: case 0, accept.
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.const 1024))
)
