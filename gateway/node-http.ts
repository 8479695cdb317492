/**
 * What the edge needs of Node's HTTP. An `import` of that module looks at all of its exports, and two of them load an HTTP client that a server never
 * uses: 75 ms of every start.
 */
export const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http');
