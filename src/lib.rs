//! Long tasks for actix-web applications that you can watch, resume and really stop.
