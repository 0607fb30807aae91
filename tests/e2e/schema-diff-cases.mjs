// Writes the cases of resolvers/src/schema_diff: pairs of schemas, and what findBreakingChanges of graphql-js says of each.
//   node schema-diff-cases.mjs ../../resolvers/src/schema_diff/graphql_js.json
import { buildSchema, findBreakingChanges } from 'graphql';
import { writeFileSync } from 'fs';
const T = ['Int','Int!','[Int]','[Int!]','[Int]!','[Int!]!','[[Int]]','[[Int!]]','String','E','E!'];
const O = [...T, 'O', 'O!', 'I', 'U'];
const rest = 'enum E { A B } type O implements I { x: Int } interface I { x: Int } type P { y: Int } union U = O | P ';
const matrix = (types, f) => { let out=''; types.forEach((_,i)=>types.forEach((__,j)=>{ out += f(i,j); })); return out; };
const cases = [];
const add = (name, old, neu) => {
  const breaking = findBreakingChanges(buildSchema(old), buildSchema(neu)).map(({type, description}) => {
    let m;
    if ((m = /^(\w+\.\w+) arg (\w+) has changed type/.exec(description))) return `${type} ${m[1]}.${m[2]}`;
    if ((m = /^(\w+\.\w+) changed type/.exec(description))) return `${type} ${m[1]}`;
    return type;
  }).sort();
  cases.push({ name, old, new: neu, breaking });
};
add('output types', `${rest} type Query { ${matrix(O,(i,j)=>`f${i}_${j}: ${O[i]} `)} }`, `${rest} type Query { ${matrix(O,(i,j)=>`f${i}_${j}: ${O[j]} `)} }`);
add('argument types', `${rest} type Query { f(${matrix(T,(i,j)=>`a${i}_${j}: ${T[i]} `)}): Int }`, `${rest} type Query { f(${matrix(T,(i,j)=>`a${i}_${j}: ${T[j]} `)}): Int }`);
add('input field types', `${rest} input N { ${matrix(T,(i,j)=>`a${i}_${j}: ${T[i]} `)} } type Query { f(n: N): Int }`, `${rest} input N { ${matrix(T,(i,j)=>`a${i}_${j}: ${T[j]} `)} } type Query { f(n: N): Int }`);
const base = `directive @d(a: Int, b: Int = 1) repeatable on FIELD | QUERY
scalar S
enum E { A B @deprecated(reason: "old") C }
interface I { x: Int }
interface J { y: Int }
type O implements I & J { x: Int y: Int z(a: Int, b: E = A, c: [Int!]): String @deprecated }
type P { y: Float! s: S }
union U = O | P
input N { a: Int b: String = "x" c: [N!] }
type Query { o(n: N): O u: U p: P! e: E }
type Mutation { go(n: N!): Boolean }
`;
const edits = [
 ['nothing', 'scalar S', 'scalar S'],
 ['description', 'scalar S', '"words" scalar S'],
 ['type removed', /union U.*\n|u: U /g, ''],
 ['scalar removed', /scalar S\n| s: S/g, ''],
 ['built-in scalar no longer used', 'y: Float!', 'y: Int!'],
 ['type added', 'scalar S', 'scalar S scalar R type Q { a: R }'],
 ['kind changed', 'type P { y: Float! s: S }\nunion U = O | P', 'interface P { y: Float! s: S }\nunion U = O'],
 ['kind changed to input', 'enum E { A B @deprecated(reason: "old") C }', 'scalar E'],
 ['enum value removed', ' C }', ' }'],
 ['enum value added', ' C }', ' C D }'],
 ['enum value deprecated', ' C }', ' C @deprecated }'],
 ['enum value no longer deprecated', ' @deprecated(reason: "old")', ''],
 ['union member removed', 'O | P', 'O'],
 ['union member added', 'union U = O | P', 'type R { a: Int } union U = O | P | R'],
 ['interface removed', 'I & J', 'I'],
 ['interface added', 'type P {', 'interface K { y: Float! } type P implements K {'],
 ['field removed', 'u: U ', ''],
 ['field added', 'u: U ', 'u: U w: Int '],
 ['field deprecated', 'u: U ', 'u: U @deprecated(reason: "r") '],
 ['field no longer deprecated', 'String @deprecated', 'String'],
 ['reason changed', 'String @deprecated', 'String @deprecated(reason: "r")'],
 ['argument removed', 'a: Int, b: E', 'b: E'],
 ['argument added', 'z(', 'z(q: Int, '],
 ['required argument added', 'z(', 'z(q: Int!, '],
 ['required argument with default added', 'z(', 'z(q: Int! = 1, '],
 ['argument default changed', 'b: E = A', 'b: E = C'],
 ['argument default removed', 'b: E = A', 'b: E'],
 ['input field removed', 'input N { a: Int', 'input N {'],
 ['input field added', 'input N {', 'input N { q: Int'],
 ['required input field added', 'input N {', 'input N { q: Int!'],
 ['required input field with default added', 'input N {', 'input N { q: Int! = 1'],
 ['input default changed', 'b: String = "x"', 'b: String = "y"'],
 ['directive removed', /directive.*\n/, ''],
 ['directive added', 'scalar S', 'directive @n on FIELD scalar S'],
 ['directive argument removed', 'a: Int, b: Int = 1', 'b: Int = 1'],
 ['directive argument added', '@d(', '@d(q: Int, '],
 ['required directive argument added', '@d(', '@d(q: Int!, '],
 ['directive argument type', '@d(a: Int', '@d(a: String'],
 ['directive argument default', 'b: Int = 1)', 'b: Int = 2)'],
 ['directive location removed', 'FIELD | QUERY', 'FIELD'],
 ['directive location added', 'FIELD | QUERY', 'FIELD | QUERY | MUTATION'],
 ['directive no longer repeatable', ' repeatable', ''],
 ['mutation removed', /type Mutation.*\n/, ''],
 ['root renamed', /type Query/, 'schema { query: Root mutation: Mutation } type Root'],
];
for (const [name, from, to] of edits) {
  const neu = base.replace(from, to);
  if (neu === base && name !== 'nothing') throw new Error(name);
  add(name, base, neu);
  if (!/nothing|kind changed/.test(name)) add(`${name}, backwards`, neu, base);
}
const short = (text) => (text === base ? null : text);
const listed = cases.map(({ name, old, new: neu, breaking }) => ({ name, old: short(old), new: short(neu), breaking }));
writeFileSync(process.argv[2], JSON.stringify({ base, cases: listed }, null, 1) + '\n');
