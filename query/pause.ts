/**
 * What a question yields between its steps, so that others get their turn: nothing, or `waiting` when it can do nothing before another one
 * has moved on. Between two steps no read transaction is open.
 */
export type Pause = undefined | 'waiting';
