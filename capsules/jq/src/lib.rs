//! soma/jq
