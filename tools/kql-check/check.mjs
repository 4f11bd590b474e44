// Checks KQL texts with Microsoft's parser, against table schemas: syntax, names of tables and columns, types.
// In (stdin, JSON):  {"tables": {"T": "(Column:type, ...)"}, "queries": {"name": "text"}}
// Out (stdout, JSON): {"name": [{"code": "KS142", "severity": "Error", "message": "...", "at": 17, "text": "..."}]}
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

// the package lies where `npm ci` was run, which need not be here
const require = createRequire(join(process.cwd(), "package.json"));
require("@kusto/language-service-next/bridge.min.js");
require("@kusto/language-service-next/Kusto.Language.Bridge.min.js");
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

const { tables, queries } = JSON.parse(readFileSync(0, "utf8"));
const symbols = Object.entries(tables).map(([name, schema]) => new Symbols.TableSymbol.$ctor7(name, schema, null));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.ctor("workspace", symbols));

const found = {};
for (const [name, text] of Object.entries(queries)) {
  const code = KustoCode.ParseAndAnalyze(text, globals);
  found[name] = listed(code.GetDiagnostics()).map(shown(text));
}
process.stdout.write(JSON.stringify(found));

function listed(list) {
  return Array.from({ length: list.Count }, (_, at) => list.getItem(at));
}

function shown(text) {
  return (each) => ({
    code: each.Code,
    severity: each.Severity,
    message: each.Message,
    at: each.Start,
    text: text.slice(each.Start, each.End),
  });
}
