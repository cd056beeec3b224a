/** Of this program; a test holds it to package.json, so that starting up reads no file for it. */
export const VERSION = '0.1.0';
