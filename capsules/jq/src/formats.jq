# Rows of tables, as the jq manual describes them.

def _row($format; string):
  if type != "array" then error("\(type) cannot be written as \($format), only an array can") end
  | [.[]
      | if type == "string" then string
        elif . == null then ""
        elif type == "number" or type == "boolean" then tostring
        else error("\(type) cannot be part of a row of \($format)")
        end]
  ;

def @csv: _row("CSV"; "\"" + gsub("\""; "\"\"") + "\"") | join(",");

def @tsv:
  _row("TSV"; gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r"))
  | join("\t");
