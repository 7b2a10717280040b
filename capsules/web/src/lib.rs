//! soma/web
