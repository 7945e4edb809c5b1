<?php

declare(strict_types=1);

require dirname(__DIR__) . '/src/autoload.php';

(new StandIn\Api())->answer($_SERVER['REQUEST_METHOD'], (string) parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH), (string) file_get_contents('php://input'));
