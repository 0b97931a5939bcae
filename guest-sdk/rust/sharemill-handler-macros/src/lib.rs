//! The attribute `#[handler]`. It leaves the function as it is and adds the exports that call it. It knows no types:
//! what a function may take and return is decided by the traits of `sharemill-handler`. No parser crate is used, so
//! that a handler builds quickly.
use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

/// Makes a function the handler of this component.
///
/// * `#[handler]`: the function takes a `Record` and returns `Outcome`, or anything else that is `IntoOutcome`.
/// * `#[handler(batch)]`: it takes a `Vec<Record>` and returns what is `IntoBatchOutcome`.
/// * `#[handler(configure = path)]`, alone or after `batch`: the function `path` takes `Settings`, returns
///   `Result<(), E>` with any `E: Display`, and is called once an instance before its first record.
#[proc_macro_attribute]
pub fn handler(attribute: TokenStream, item: TokenStream) -> TokenStream {
    match expand(attribute, &item) {
        Ok(exports) => item.into_iter().chain(exports).collect(),
        Err((span, message)) => item.into_iter().chain(compile_error(span, &message)).collect(),
    }
}

type Failure = (Span, String);

fn expand(attribute: TokenStream, item: &TokenStream) -> Result<TokenStream, Failure> {
    let options = Options::parse(attribute)?;
    let name = function_name(item)?;
    let mut exports = fill(
        if options.batch { BATCH } else { RECORD },
        &TokenTree::Ident(name).into(),
    );
    if let Some(configure) = &options.configure {
        exports.extend(fill(LIFECYCLE, configure));
    }
    Ok(exports)
}

#[derive(Default)]
struct Options {
    batch: bool,
    configure: Option<TokenStream>,
}

impl Options {
    fn parse(attribute: TokenStream) -> Result<Self, Failure> {
        let mut options = Self::default();
        let mut tokens = attribute.into_iter().peekable();
        while let Some(token) = tokens.next() {
            let unknown = || {
                (
                    token.span(),
                    format!("expected `batch` or `configure = FUNCTION`, found `{token}`"),
                )
            };
            match token.to_string().as_str() {
                "batch" => options.batch = true,
                "configure" if tokens.next_if(|next| next.to_string() == "=").is_some() => {
                    let path = std::iter::from_fn(|| tokens.next_if(|next| next.to_string() != ","));
                    options.configure = Some(path.collect());
                }
                _ => return Err(unknown()),
            }
            if options.configure.as_ref().is_some_and(TokenStream::is_empty) {
                return Err((token.span(), "expected `configure = FUNCTION`".to_owned()));
            }
            if let Some(next) = tokens.next()
                && next.to_string() != ","
            {
                return Err((next.span(), format!("expected `,`, found `{next}`")));
            }
        }
        Ok(options)
    }
}

/// The name behind the first `fn` outside of any bracket.
fn function_name(item: &TokenStream) -> Result<Ident, Failure> {
    let mut tokens = item.clone().into_iter();
    while let Some(token) = tokens.next() {
        match token.to_string().as_str() {
            "async" => {
                return Err((
                    token.span(),
                    "a handler is not async: the host runs others meanwhile".to_owned(),
                ));
            }
            "fn" => {
                if let Some(TokenTree::Ident(name)) = tokens.next() {
                    return Ok(name);
                }
            }
            _ => {}
        }
    }
    Err((Span::call_site(), "#[handler] belongs on a function".to_owned()))
}

/// The template with `__TARGET` replaced, keeping the target's own span for the compiler's messages.
fn fill(template: &str, target: &TokenStream) -> TokenStream {
    let tokens: TokenStream = template.parse().unwrap_or_default();
    replace(tokens, target)
}

fn replace(tokens: TokenStream, target: &TokenStream) -> TokenStream {
    let replaced = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident.to_string() == "__TARGET" => target.clone(),
        TokenTree::Group(group) => {
            let inner = replace(group.stream(), target);
            TokenTree::Group(Group::new(group.delimiter(), inner)).into()
        }
        other => other.into(),
    });
    replaced.collect()
}

fn compile_error(span: Span, message: &str) -> TokenStream {
    let text: TokenStream = format!("{message:?}").parse().unwrap_or_default();
    let mut group = TokenTree::Group(Group::new(Delimiter::Brace, text));
    group.set_span(span);
    let path: TokenStream = "::core::compile_error!".parse().unwrap_or_default();
    path.into_iter()
        .map(|token| respan(token, span))
        .chain([group])
        .collect()
}

fn respan(mut token: TokenTree, span: Span) -> TokenTree {
    token.set_span(span);
    token
}

// Exports exist only in components; elsewhere the same types are checked, so that `cargo check` and native tests work.
const RECORD: &str = "
    #[doc(hidden)]
    const _: () = {
        // Where nothing is exported the function would count as unused.
        #[allow(dead_code)]
        fn keep() {
            let _ = __TARGET;
        }
        #[allow(dead_code)]
        struct Export;
        impl ::sharemill_handler::__private::handler::Guest for Export {
            fn handle(delivery: ::sharemill_handler::__private::Delivery) -> ::sharemill_handler::__private::Outcome {
                ::sharemill_handler::__private::run(delivery, __TARGET)
            }
        }
        #[cfg(target_arch = \"wasm32\")]
        ::sharemill_handler::__private::export_handler!(Export with_types_in ::sharemill_handler::__private::handler_root);
    };
";

const BATCH: &str = "
    #[doc(hidden)]
    const _: () = {
        // Where nothing is exported the function would count as unused.
        #[allow(dead_code)]
        fn keep() {
            let _ = __TARGET;
        }
        #[allow(dead_code)]
        struct Export;
        impl ::sharemill_handler::__private::batch_handler::Guest for Export {
            fn handle_batch(
                deliveries: ::std::vec::Vec<::sharemill_handler::__private::Delivery>,
            ) -> ::sharemill_handler::__private::BatchOutcome {
                ::sharemill_handler::__private::run_batch(deliveries, __TARGET)
            }
        }
        #[cfg(target_arch = \"wasm32\")]
        ::sharemill_handler::__private::export_batch_handler!(
            Export with_types_in ::sharemill_handler::__private::batch_handler_root
        );
    };
";

const LIFECYCLE: &str = "
    #[doc(hidden)]
    const _: () = {
        // Where nothing is exported the function would count as unused.
        #[allow(dead_code)]
        fn keep() {
            let _ = __TARGET;
        }
        #[allow(dead_code)]
        struct Export;
        impl ::sharemill_handler::__private::lifecycle::Guest for Export {
            fn configure(
                settings: ::std::vec::Vec<(::std::string::String, ::std::string::String)>,
            ) -> ::core::result::Result<(), ::std::string::String> {
                ::sharemill_handler::__private::run_configure(settings, __TARGET)
            }
        }
        #[cfg(target_arch = \"wasm32\")]
        ::sharemill_handler::__private::export_lifecycle!(
            Export with_types_in ::sharemill_handler::__private::lifecycle_root
        );
    };
";
