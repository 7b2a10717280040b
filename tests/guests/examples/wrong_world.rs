//! A component of another world: it exports nothing that the host knows.

#![expect(unsafe_code, reason = "what wit-bindgen generates")]

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package other:thing;

            world thing {
                export hello: func() -> string;
            }
        ",
        world: "thing",
    });
}

struct Component;

impl bindings::Guest for Component {
    fn hello() -> String {
        "hello".to_owned()
    }
}

bindings::export!(Component with_types_in bindings);
