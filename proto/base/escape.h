// Text of guests and administrators made fit to be shown: in log records, in errors, on terminals. One form for all
// programs, made for values that people copy: what is shown can be turned back.
#pragma once

#include <string>
#include <string_view>

namespace hostcall {

// No bound.
inline constexpr std::size_t kWholeText = std::string_view::npos;

// A value (a key, a name, a path) as it is shown: \xNN for each byte that is not UTF-8 or belongs to a character that
// drives a terminal or can't be seen: control and format characters (C0, DEL, C1, bidi controls, zero-width ones,
// separators, fillers, variation selectors, tags), and those that mean nothing. A backslash is \\, so that the result
// tells the value exactly (bash: printf %b). One longer than `max` bytes is cut and ends with "...", which comes on
// top.
std::string escape(std::string_view text, std::size_t max = 256);

// The same in double quotes, for a value within a message; a quote inside becomes \x22, so that the text can't end its
// own quotation.
std::string in_quotes(std::string_view text, std::size_t max = 256);

// A text of several lines as a terminal shows it: as escape(), but line feeds and tabs stay. Can be turned back, too.
std::string escape_lines(std::string_view text);

// A JSON document as it was written by a library that leaves such characters in strings: \uNNNN for each, which means
// the same to whoever parses it. Control characters of ASCII stay, because in valid JSON they are white space.
std::string escape_json(std::string_view json);

// A whole message on its way to a journal or a terminal: as escape(), but a backslash stays, because the values in the
// message are escaped already.
std::string escape_message(std::string_view text, std::size_t max = kWholeText);

// Whether escape_message() changes nothing: UTF-8 of which everything can be seen.
bool is_plain(std::string_view text);

}  // namespace hostcall
