//! Long tasks for actix-web applications that you can watch, resume and really stop.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "used by the runtime"))]
mod body;
