/**
 * The yardstick for HTTP: a bare fastify server that parses the same bodies as JSON and answers them, and does nothing else. Run as a child
 * process; it says its port over IPC and ends with its parent.
 */
import fastify from 'fastify';

const app = fastify({ logger: false });
app.post('/v1/transfers', (request, reply) => {
  void reply.send(request.body);
});
await app.listen({ host: '127.0.0.1', port: 0 });
const address = app.server.address();
process.once('disconnect', () => process.exit(0));
process.send?.({ port: typeof address === 'object' ? address?.port : undefined });
