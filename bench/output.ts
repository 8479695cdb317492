/** What a command of the bench says in the end: for people a text, for machines a document, and then nothing else on standard output. */

export function sayResult(text: string, document: object | undefined): void {
  if (document === undefined) {
    console.log(text);
  } else {
    console.error(text);
    console.log(JSON.stringify(document));
  }
}
