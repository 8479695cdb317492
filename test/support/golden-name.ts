/** Which golden directory is of what the program writes now. */
import { FRAME_VERSION } from '../../engine/frame.ts';
import { DIRECTORY_FORMAT } from '../../persistence/data-directory.ts';

/** Names are of the format, and of the version of its frames where that has gone up since. */
export const GOLDEN_NAME = /^format-\d+(-frames-\d+)?$/;
export const GOLDEN_NOW = `format-${DIRECTORY_FORMAT}-frames-${FRAME_VERSION}`;
