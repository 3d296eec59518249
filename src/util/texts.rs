//! Enums whose variants have constant texts.

/// Defines an enum with a text for each variant. The function that the head names returns it, and `Display` writes it.
///
/// The docs of a variant begin with its text, so a variant needs docs of its own only if they say more.
macro_rules! texts {
    (
        $(#[$of_enum:meta])*
        $public:vis enum $name:ident: fn $text:ident {
            $($(#[$of_variant:meta])* $variant:ident = $value:literal,)*
        }
    ) => {
        $(#[$of_enum])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $public enum $name { $(#[doc = concat!("`", $value, "`")] #[doc = ""] $(#[$of_variant])* $variant,)* }

        impl $name {
            /// All variants, in the order of their declaration.
            #[allow(dead_code, reason = "not every enum is listed")]
            $public const ALL: [$name; [$($value),*].len()] = [$($name::$variant),*];

            /// Returns the text of the variant.
            $public const fn $text(self) -> &'static str {
                match self { $($name::$variant => $value,)* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.$text())
            }
        }
    };
}

pub(crate) use texts;
