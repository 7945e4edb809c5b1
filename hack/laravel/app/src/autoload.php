<?php

declare(strict_types=1);

// Laravel turns every notice and warning into an exception; so does this.
error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    throw new ErrorException($message, 0, $level, $file, $line);
});
date_default_timezone_set('UTC');
spl_autoload_register(static function (string $class): void {
    $prefix = 'StandIn\\';
    if (str_starts_with($class, $prefix)) {
        require __DIR__ . '/' . str_replace('\\', '/', substr($class, strlen($prefix))) . '.php';
    }
});
