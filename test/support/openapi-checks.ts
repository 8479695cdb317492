/** Holds the answers of a running process against the document that it serves itself at `/openapi.json`. */
// oxlint-disable-next-line import/extensions -- this package has no export map
import { Ajv2020 } from 'ajv/dist/2020.js';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface Request {
  readonly method: 'GET' | 'POST';
  /** As the document names it, with `{id}`. */
  readonly route: string;
  readonly id?: string;
  /** What stands behind the `?`. */
  readonly query?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const pointer = (...parts: readonly string[]): string =>
  parts
    .map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`)
    .join('');

export class OpenapiChecks {
  readonly #url: string;
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });
  readonly #document: {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  readonly #visited = new Set<string>();

  private constructor(url: string, document: OpenapiChecks['checkedDocument']) {
    this.#url = url;
    this.#document = document;
    this.#ajv.addSchema(document, 'openapi');
  }

  static async of(url: string): Promise<OpenapiChecks> {
    const answer = await fetch(`${url}/openapi.json`);
    return new OpenapiChecks(url, (await answer.json()) as OpenapiChecks['checkedDocument']);
  }

  get checkedDocument(): {
    readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  } {
    return this.#document;
  }

  /** Routes of the document that no request has been sent to. */
  get unvisited(): readonly string[] {
    return Object.entries(this.#document.paths)
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      )
      .filter((route) => !this.#visited.has(route));
  }

  /** Sends it, and throws unless the document names the answer's status and type, and that the body fits the schema. */
  async send(request: Request): Promise<Answer> {
    const { method, route, id, query, body, headers = {} } = request;
    this.#visited.add(`${method} ${route}`);
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const path = route.replace('{id}', id ?? '') + (query === undefined ? '' : `?${query}`);
    const answer = await fetch(this.#url + path, {
      method,
      headers: { ...type, ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await answer.text();
    const contentType = answer.headers.get('content-type')!.split(';')[0]!;
    const content: unknown = contentType.endsWith('json') ? JSON.parse(text) : text;
    const schema = pointer(
      'paths',
      route,
      method.toLowerCase(),
      'responses',
      String(answer.status),
      'content',
      contentType,
      'schema',
    );
    const what = `${method} ${route} answers ${answer.status} ${contentType}: ${text.slice(0, 300)}`;
    const validate = this.#ajv.getSchema(`openapi#${schema}`);
    if (validate === undefined) throw new Error(`the document does not name it: ${what}`);
    if (!(await validate(content))) {
      throw new Error(`the document says otherwise: ${what}\n${JSON.stringify(validate.errors)}`);
    }
    return { status: answer.status, type: contentType, headers: answer.headers, body: content };
  }
}
